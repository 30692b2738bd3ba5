# SPDX-License-Identifier: Apache-2.0
"""The zip file of certificates that sev-tool's ``export_cert_chain`` writes (certs_export.zip).

Read in memory and bounded: nothing is unpacked to disk, whatever names it holds. sev-tool
before ``zip -j`` packed the folders of ``--ofolder`` along: these are left out of the names.
Source: AMDESE/sev-tool src/commands.cpp (export_cert_chain, zip_certs).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ..errors import BadInput

if TYPE_CHECKING:
    import zipfile

ARCHIVE_NAME: Final = "certs_export.zip"
_MARK: Final = b"PK\x03\x04"
_FILES_MAX: Final = 16
_FILE_LIMIT: Final = 64 << 10
"""Bytes of one file in the archive; the largest certificate has 2084, a full chain 11,536."""
_FOLDERS_MAX: Final = 16
_ENCRYPTED: Final = 0x1
_STORED, _DEFLATED = 0, 8


def is_archive(content: bytes) -> bool:
    """Whether a file is a zip archive, by its first bytes; no certificate begins like that."""
    return content.startswith(_MARK)


def read_archive(content: bytes, field: str) -> tuple[tuple[str, bytes], ...]:
    """Names and contents of the files in an archive, at most 16 of at most 64 KiB each.

    Names are plain: folders before them are left out. Raises BadInput ``bad-archive``.
    """
    import zipfile  # noqa: PLC0415 - only archives need it
    import zlib  # noqa: PLC0415

    # What the module raises for a crafted archive; each of these has been seen.
    faults = (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        OSError,
        OverflowError,
        RuntimeError,
        ValueError,
    )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check_entries(entries, field)
            return tuple((_plain(entry), _read(archive, entry, field)) for entry in entries)
    except faults:
        raise _bad_archive(field, "It is cut short or damaged.") from None


def write_archive(files: Mapping[str, bytes]) -> bytes:
    """An archive of these files; the same files give the same bytes."""
    import zipfile  # noqa: PLC0415 - only archives need it

    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return target.getvalue()


def _check_entries(entries: list[zipfile.ZipInfo], field: str) -> None:
    if not 1 <= len(entries) <= _FILES_MAX:
        raise _bad_archive(field, f"It holds {len(entries)} files; a chain has six.")
    for entry in entries:
        if not _is_inside(entry.orig_filename):
            raise _bad_archive(field, "It holds empty folders, or names that lead out of it.")
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in (_STORED, _DEFLATED):
            raise _bad_archive(field, "It is encrypted, or packed in a way that is not known here.")
        if entry.file_size > _FILE_LIMIT:
            raise _bad_archive(field, f"A file in it claims {entry.file_size} bytes.")
    names = [_plain(entry) for entry in entries]
    if len(set(names)) != len(names):
        raise _bad_archive(field, "Two files in it have the same name.")


def _is_inside(name: str) -> bool:
    """Whether a name leads to a file below, and to no hidden one: ``certs/pdh.cert`` does."""
    parts = name.split("/")
    hidden = any(not part or part.startswith(".") for part in parts)
    return not hidden and len(parts) <= _FOLDERS_MAX and not set(name) & set("\\:\0")


def _plain(entry: zipfile.ZipInfo) -> str:
    return entry.orig_filename.rpartition("/")[2]


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, field: str) -> bytes:
    with archive.open(entry) as stream:
        data = stream.read(_FILE_LIMIT + 1)
    if len(data) > _FILE_LIMIT:
        raise _bad_archive(field, f"A file in it has more than {_FILE_LIMIT} bytes.")
    return data


def _bad_archive(field: str, problem: str) -> BadInput:
    return BadInput(
        "bad-archive",
        field,
        problem,
        f"Give the {ARCHIVE_NAME} that sev-tool wrote, or the certificates themselves.",
    )
