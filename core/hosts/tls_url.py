# SPDX-License-Identifier: Apache-2.0
"""Reads the URL of a QMP port behind TLS: host, port, and which certificates count."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from .url_parts import (
    bracketed,
    decoded,
    encoded,
    host_and_rest,
    ipv6,
    name_or_ipv4,
    port,
    refuse,
    refuse_credentials,
)

_EXAMPLE: Final = (
    "Write qmp+tls://host:4444?dir=/etc/pki/qemu, or "
    "qmp+tls://host:4444?ca=/…/ca.pem&cert=/…/me.pem&key=/…/me.key."
)
_PATHS: Final = ("dir", "ca", "cert", "key")
_SERVER_NAME: Final = "server-name"
_PATH_BYTES: Final = 4096
_PARAMETERS: Final = 8
# QEMU's own names in the folder of a tls-creds-x509 object (docs/system/tls).
_CA_FILE: Final = "ca-cert.pem"
_CERT_FILE: Final = "client-cert.pem"
_KEY_FILE: Final = "client-key.pem"


@dataclass(frozen=True, slots=True)
class TlsAddress:
    """A TCP port with TLS: ``host`` as for TCP, ``port`` 1 to 65535.

    ``folder``       QEMU's form: ca-cert.pem, client-cert.pem and client-key.pem lie in it
    ``ca``           else the CA that the server's certificate has to come from, PEM
    ``cert``, ``key``  the owner's own certificate and key, PEM; both or neither
    ``server_name``  whom the server's certificate has to name, if not ``host``
    Paths are absolute.
    """

    host: str
    port: int
    folder: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None

    @property
    def url(self) -> str:
        """The URL of this address, in ASCII; it names files, and holds none of them."""
        given = zip(_PATHS, (self.folder, self.ca, self.cert, self.key), strict=True)
        terms = [f"{name}={quote(os.fsencode(path))}" for name, path in given if path is not None]
        if self.server_name is not None:
            terms.append(f"{_SERVER_NAME}={quote(self.server_name, ':')}")
        return f"qmp+tls://{bracketed(self.host)}:{self.port}?{'&'.join(terms)}"

    @property
    def plaintext_remote(self) -> bool:
        """Never: TLS encrypts."""
        return False

    @property
    def name_to_verify(self) -> str:
        """Whom the server's certificate has to name: a name, or an address without zone."""
        return self.server_name or self.host.partition("%")[0]

    @property
    def ca_file(self) -> str:
        """Path of the CA."""
        return self.ca or f"{self.folder}/{_CA_FILE}"

    @property
    def client_files(self) -> tuple[str, str] | None:
        """Paths of the owner's certificate and key; None where a URL with ``ca`` names none.

        In a folder they are optional, as with QEMU: whoever opens them has to look.
        """
        if self.cert is not None and self.key is not None:
            return self.cert, self.key
        if self.folder is None:
            return None
        return f"{self.folder}/{_CERT_FILE}", f"{self.folder}/{_KEY_FILE}"


def tls_from_url(rest: str) -> TlsAddress:
    """The address in what follows ``qmp+tls:``. Raises UsageError ``bad-host-url``."""
    if "#" in rest:
        refuse("query", "This URL takes no “#”.", "Leave it out; in a path write %23.")
    if not rest.startswith("//"):
        refuse("host", "Two slashes go before the host.", _EXAMPLE)
    location, _, query = rest[2:].partition("?")
    authority, slash, path = location.partition("/")
    if slash and path:
        refuse("path", "A TLS address has no path; files are named after “?”.", _EXAMPLE)
    refuse_credentials(authority)
    host, after = host_and_rest(authority)
    if not after.startswith(":"):
        refuse("port", "The port is missing.", _EXAMPLE)
    given = _parameters(query)
    _check_together(given)
    return TlsAddress(
        host,
        port(after[1:]),
        given.get("dir"),
        given.get("ca"),
        given.get("cert"),
        given.get("key"),
        given.get(_SERVER_NAME),
    )


def _parameters(query: str) -> dict[str, str]:
    terms = query.split("&") if query else []
    if len(terms) > _PARAMETERS:
        refuse("query", "It has too many parameters.", _EXAMPLE)
    given: dict[str, str] = {}
    for term in terms:
        name, _, value = term.partition("=")
        if name not in (*_PATHS, _SERVER_NAME):
            refuse("query", "It may name dir, ca, cert, key and server-name only.", _EXAMPLE)
        if name in given:
            refuse("query", f"It names {name} twice.", _EXAMPLE)
        text = decoded(value, "query")
        given[name] = _server_name(text) if name == _SERVER_NAME else _path(name, text)
    return given


def _path(name: str, text: str) -> str:
    # A launch is taken up again later, from anywhere: its files have to be found then.
    if not text.startswith("/"):
        refuse("query", f"The path after {name}= has to begin at the root.", _EXAMPLE)
    if not text.isprintable() or len(encoded(text)) > _PATH_BYTES:
        refuse("query", f"The path after {name}= can't be one.", _EXAMPLE)
    return text


def _server_name(text: str) -> str:
    return ipv6(text) if ":" in text else name_or_ipv4(text)


def _check_together(given: dict[str, str]) -> None:
    if "dir" in given and {"ca", "cert", "key"} & given.keys():
        refuse("query", "It names a folder and single files.", "Name either. " + _EXAMPLE)
    if "dir" not in given and "ca" not in given:
        refuse("query", "It does not say which CA counts.", _EXAMPLE)
    if ("cert" in given) != ("key" in given):
        refuse("query", "A certificate and its key are named together.", _EXAMPLE)
