# SPDX-License-Identifier: Apache-2.0
"""A platform's keys on disk, so that a simulated machine is the same one tomorrow.

The folder holds ``platform-keys.json`` (private keys, mode 0600) and, for use in other
commands, the certificates: ``ark.cert``, ``ask.cert``, ``cek.cert``, ``oca.cert``,
``pek.cert``, ``pdh.cert`` and ``full_chain.cert``. Only the first is ever read back.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ..errors import BadInput
from .platform_keys import CHIP_ID_SIZE, RSA_SIZES, PlatformKeys, SigningRoot

KEYS_FILE = "platform-keys.json"
_SCHEMA = 1
_MOST_BYTES = 128 * 1024
_PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def save_platform(keys: PlatformKeys, folder: Path) -> None:
    """Write keys and certificates; each file appears whole or not at all.

    Raises BadInput ``simulator-state-unwritable`` where the folder can't be written.
    """
    document = json.dumps(_as_json(keys), indent=1).encode()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The keys come last: a folder with keys is complete.
        for name, certificate in certificate_files(keys).items():
            _write_whole(folder / name, certificate, 0o644)
        _write_whole(folder / KEYS_FILE, document, 0o600)
    except OSError as problem:
        raise BadInput(
            "simulator-state-unwritable",
            "the state directory",
            f"{folder} can't be written: {problem.strerror}.",
            "Name a directory of your own.",
        ) from None


def load_platform(folder: Path) -> PlatformKeys:
    """Read back what :func:`save_platform` wrote.

    Raises BadInput ``simulator-state-missing`` where there is nothing, and
    ``simulator-state-damaged`` where it is not what was written.
    """
    try:
        with (folder / KEYS_FILE).open("rb") as stream:
            document = stream.read(_MOST_BYTES + 1)
    except OSError as problem:
        raise BadInput(
            "simulator-state-missing",
            "the state directory",
            f"{folder / KEYS_FILE} can't be read: {problem.strerror}.",
            "Start the simulator once with this directory, and it makes the keys.",
        ) from None
    keys = _parse(document) if len(document) <= _MOST_BYTES else None
    if keys is None:
        raise BadInput(
            "simulator-state-damaged",
            "the state directory",
            f"{folder / KEYS_FILE} is not what the simulator wrote.",
            "Move the directory away; the simulator then makes a new platform.",
        )
    return keys


def open_platform(folder: Path, rsa_bits: int = 4096) -> PlatformKeys:
    """The platform of a folder; a new one is made and saved where there is none yet.

    May take seconds (see :meth:`PlatformKeys.generate`). Raises as :func:`load_platform` and
    :func:`save_platform` do.
    """
    if (folder / KEYS_FILE).exists():
        return load_platform(folder)
    keys = PlatformKeys.generate(rsa_bits)
    save_platform(keys, folder)
    return keys


def certificate_files(keys: PlatformKeys) -> dict[str, bytes]:
    """File names and contents of everything that a platform may show."""
    return {
        "ark.cert": keys.root.ark,
        "ask.cert": keys.root.ask,
        "cek.cert": keys.cek,
        "oca.cert": keys.oca,
        "pek.cert": keys.pek,
        "pdh.cert": keys.pdh,
        "full_chain.cert": keys.full_chain,
    }


def _as_json(keys: PlatformKeys) -> dict[str, object]:
    private: dict[str, _PrivateKey] = {
        "ark": keys.root.ark_key,
        "ask": keys.root.ask_key,
        "cek": keys.cek_key,
        "oca": keys.oca_key,
        "pek": keys.pek_key,
        "pdh": keys.pdh_key,
    }
    return {
        "schema": _SCHEMA,
        "what": "private keys of a simulated AMD platform; they protect nothing",
        "api": list(keys.api),
        "chip_id": keys.chip_id.hex(),
        "keys": {name: _pem(key) for name, key in private.items()},
        "certificates": {
            name.removesuffix(".cert"): base64.b64encode(data).decode()
            for name, data in certificate_files(keys).items()
            if name != "full_chain.cert"
        },
    }


def _pem(key: _PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _parse(document: bytes) -> PlatformKeys | None:
    try:
        content = json.loads(document)
        if not isinstance(content, dict) or content.get("schema") != _SCHEMA:
            return None
        keys = _from_json(content)
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error, UnsupportedAlgorithm):
        return None
    return keys if keys is not None and keys.is_consistent() else None


def _from_json(content: Mapping[str, object]) -> PlatformKeys | None:
    pems, encoded, api = content["keys"], content["certificates"], content["api"]
    if not isinstance(pems, dict) or not isinstance(encoded, dict) or not isinstance(api, list):
        return None
    certificates = {
        name: base64.b64decode(encoded[name], validate=True)
        for name in ("ark", "ask", "cek", "oca", "pek", "pdh")
    }
    chip_id = bytes.fromhex(str(content["chip_id"]))
    if len(chip_id) != CHIP_ID_SIZE or len(api) != 2 or not all(_is_byte(part) for part in api):
        return None
    return PlatformKeys(
        root=SigningRoot(
            ark_key=_rsa_key(str(pems["ark"])),
            ask_key=_rsa_key(str(pems["ask"])),
            ark=certificates["ark"],
            ask=certificates["ask"],
        ),
        chip_id=chip_id,
        api=(api[0], api[1]),
        cek_key=_ec_key(str(pems["cek"])),
        oca_key=_ec_key(str(pems["oca"])),
        pek_key=_ec_key(str(pems["pek"])),
        pdh_key=_ec_key(str(pems["pdh"])),
        cek=certificates["cek"],
        oca=certificates["oca"],
        pek=certificates["pek"],
        pdh=certificates["pdh"],
    )


def _is_byte(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255


def _rsa_key(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size not in RSA_SIZES:
        raise TypeError("not a CA key")
    return key


def _ec_key(pem: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp384r1":
        raise TypeError("not a platform key")
    return key


def _write_whole(path: Path, data: bytes, mode: int) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            if mode == 0o600:  # certificates can be written again, keys can't
                stream.flush()
                os.fsync(stream.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
