# SPDX-License-Identifier: Apache-2.0
"""Reads the certificates that a TLS address names: whom to believe, and who we are."""

from __future__ import annotations

import os
import re
import ssl
import stat
from pathlib import Path
from typing import Final

from ..errors import BadInput
from ..files import read_file, read_secret
from .host_words import visible
from .tls_url import TlsAddress

_FILE_BYTES: Final = 1 << 20
_CA: Final = "the CA of the host's certificate"
_CERTIFICATE: Final = "the client certificate"
_KEY: Final = "the key of the client certificate"
_ENCRYPTED: Final = re.compile(b"ENCRYPTED")
_NOT_ASCII: Final = re.compile(rb"[^\x00-\x7f]")
_HEADER_BYTES: Final = 4096
"""Where a PEM file says that it is encrypted; a certificate may stand before the key."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def tls_context(address: TlsAddress) -> ssl.SSLContext:
    """A context that believes the named CA alone, verifies the host's name, and wants TLS 1.2.

    Raises BadInput as read_file does, ``tls-ca-unusable``, ``tls-certificate-unusable``,
    ``tls-key-unusable``, ``tls-key-encrypted`` or ``tls-key-of-another``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    authority = read_file(address.ca_file, _CA, _FILE_BYTES)
    try:
        # Between its certificates a file may have comments in any language.
        context.load_verify_locations(cadata=_NOT_ASCII.sub(b"?", authority).decode("ascii"))
    except ssl.SSLError:
        raise _unusable("tls-ca-unusable", _CA, address.ca_file) from None
    files = client_files(address)
    if files is not None:
        _load_client(context, *files)
    return context


def client_files(address: TlsAddress) -> tuple[str, str] | None:
    """Certificate and key; None where the address names none, or its folder has neither."""
    files = address.client_files
    if files is None or address.folder is None:
        return files
    return files if any(map(os.path.lexists, files)) else None


def key_warnings(address: TlsAddress) -> tuple[str, ...]:
    """What is to be said of the key's permissions; nothing of a key that is not there."""
    files = client_files(address)
    if files is None:
        return ()
    try:
        mode = Path(files[1]).stat().st_mode
    except (OSError, ValueError):
        return ()  # connecting says more
    text = (
        f"Others on this machine may read or change {visible(files[1])}, the key by which the "
        "host knows you: `chmod 600` it."
    )
    return (text,) if mode & _OTHERS else ()


def _load_client(context: ssl.SSLContext, certificate: str, key: str) -> None:
    read_file(certificate, _CERTIFICATE, _FILE_BYTES)
    if _is_encrypted(key):
        raise _encrypted(key)
    try:
        # Without a password of our own OpenSSL would ask on the terminal.
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as fault:
        if fault.reason == "KEY_VALUES_MISMATCH":
            raise _of_another(certificate, key) from None
        raise _which_unusable(certificate, key) from None


def _is_encrypted(key: str) -> bool:
    secret = read_secret(key, _KEY, _FILE_BYTES)
    try:
        with secret.reveal() as view:
            return bool(_ENCRYPTED.search(view[:_HEADER_BYTES]))  # without a copy
    finally:
        secret.wipe()


def _no_password() -> str:
    return ""


def _which_unusable(certificate: str, key: str) -> BadInput:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    except (ssl.SSLError, OSError):
        return _unusable("tls-certificate-unusable", _CERTIFICATE, certificate)
    return _unusable("tls-key-unusable", _KEY, key)


def _unusable(code: str, field: str, path: str) -> BadInput:
    return BadInput(
        code,
        field,
        f"{visible(path)} is no PEM file with such a thing in it that OpenSSL takes.",
        "It begins with “-----BEGIN …-----”; check which file goes where.",
        {"path": visible(path)},
    )


def _encrypted(path: str) -> BadInput:
    return BadInput(
        "tls-key-encrypted",
        _KEY,
        f"{visible(path)} is encrypted, and nobody can be asked for its passphrase here.",
        "Write it out without one, into a folder of your own: `(umask 077; openssl pkey -in KEY"
        " -out NEW-KEY)`, and name that.",
        {"path": visible(path)},
    )


def _of_another(certificate: str, key: str) -> BadInput:
    return BadInput(
        "tls-key-of-another",
        _KEY,
        f"{visible(key)} is not the key of {visible(certificate)}.",
        "Name the two that belong together.",
        {"path": visible(key), "certificate": visible(certificate)},
    )
