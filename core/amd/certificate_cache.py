# SPDX-License-Identifier: Apache-2.0
"""Keeps signed CEKs on disk by content, and verifies them again on every load.

::

    certificates/<SHA-256 of the file>.cert    2084 bytes
    index/chip-<128 hex digits>                which file a chip id leads to
    index/key-<SHA-256 of the 0x414 bytes>     which file has AMD's signature on a key

An index entry is one line, its own name and the SHA-256 of the file, so that entries
that change places are noticed. The cache is trusted with nothing: what does not verify
is removed, as if it had never been there.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ..errors import BadInput
from ..files import make_folder, read_file, write_file
from ..sev.certificates import SEV_CERTIFICATE_SIZE
from ..sev.chain import RootKeys
from .signed_certificates import SignedCek, fingerprint_of, judge_cek

_FIELD: Final = "the certificate cache"
_INDEX_LIMIT: Final = 256
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """``$WATCHWORD_HOME/cache`` where that is set, else the user's cache folder."""
    variables = os.environ if environment is None else environment
    if variables.get("WATCHWORD_HOME"):
        return Path(variables["WATCHWORD_HOME"]) / "cache"
    import platformdirs  # noqa: PLC0415 - plain commands start without it

    return platformdirs.user_cache_path("watchword", appauthor=False)


class CertificateCache:
    """Signed CEKs under ``folder``, which is made when there is something to keep.

    ``roots`` are the keys that every load is verified against.
    """

    def __init__(self, folder: Path, roots: Sequence[RootKeys]) -> None:
        self.folder = folder
        self._certificates = folder / "certificates"
        self._index = folder / "index"
        self._roots = tuple(roots)

    def by_chip(self, chip_id: bytes) -> SignedCek | None:
        """The CEK that the key service gave for this 64-byte chip id, verified just now."""
        return self._load(_chip_entry(chip_id))

    def by_key(self, cek: bytes) -> SignedCek | None:
        """AMD's copy of the very key of this CEK (its first 0x414 bytes), verified just now."""
        entry = _key_entry(cek)
        found = self._load(entry)
        if found is not None and found.body != cek[: len(found.body)]:
            self._remove(self._index / entry)
            return None
        return found

    def keep(self, cek: SignedCek, chip_id: bytes) -> None:
        """Store a verified CEK under its chip id and its key.

        Raises BadInput ``bad-folder`` or ``file-not-written``.
        """
        for folder in (self.folder, self._certificates, self._index):
            make_folder(folder, _FIELD)
        digest = hashlib.sha256(cek.data).hexdigest()
        # The file before what leads to it: a crash in between leaves nothing dangling.
        write_file(self._file(digest), cek.data, field=_FIELD)
        for entry in (_key_entry(cek.data), _chip_entry(chip_id)):
            write_file(self._index / entry, f"{entry} {digest}\n".encode(), field=_FIELD)

    def _load(self, entry: str) -> SignedCek | None:
        digest = self._follow(entry)
        if digest is None:
            return None
        path = self._file(digest)
        data = _read(path, SEV_CERTIFICATE_SIZE)
        intact = data is not None and hmac.compare_digest(_digest(data), digest)
        found = judge_cek(data, self._roots) if data is not None and intact else None
        if isinstance(found, SignedCek):
            return found
        self._remove(path, self._index / entry)
        return None

    def _follow(self, entry: str) -> str | None:
        """The digest that an index entry names, None where there is no sound entry."""
        path = self._index / entry
        line = _read(path, _INDEX_LIMIT)
        if line is None:
            self._remove(path)
            return None
        name, _, digest = line.decode("ascii", "replace").removesuffix("\n").partition(" ")
        if name != entry or not _SHA256.fullmatch(digest):
            self._remove(path)
            return None
        return digest

    def _file(self, digest: str) -> Path:
        return self._certificates / f"{digest}.cert"

    @staticmethod
    def _remove(*paths: Path) -> None:
        for path in paths:
            # What can't be removed is never used either.
            with contextlib.suppress(OSError):
                path.unlink()


def _chip_entry(chip_id: bytes) -> str:
    return f"chip-{chip_id.hex()}"


def _key_entry(cek: bytes) -> str:
    return f"key-{fingerprint_of(cek)}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path, limit: int) -> bytes | None:
    try:
        return read_file(path, _FIELD, limit)
    except BadInput:
        return None
