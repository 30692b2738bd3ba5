# SPDX-License-Identifier: Apache-2.0
"""Reads the address of the queue's PostgreSQL: no password in it, and TLS on every network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from ..errors import UsageError

_SCHEMES: Final = ("postgresql", "postgres")
_PARAMETERS: Final = frozenset(
    {
        *("host", "hostaddr", "port", "dbname", "user", "service", "passfile"),
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "connect_timeout"),
    }
)
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_VERIFIED: Final = "verify-full"
# Encryption by Kerberos would be taken instead of TLS where there is a ticket.
_OURS: Final = {
    "gssencmode": "disable",
    "application_name": "watchword",
    "client_encoding": "utf8",
}
_ROOT_VARIABLE: Final = "PGSSLROOTCERT"
# These lead libpq elsewhere though the URL names a host; all others give way to what it says.
_ADDRESS_VARIABLE: Final = "PGHOSTADDR"
_SERVICE_VARIABLE: Final = "PGSERVICE"
_ONE_EACH: Final = ("host", "hostaddr", "port")
_LONGEST: Final = 2000
_CONNECT_SECONDS: Final = "10"


def queue_parameters(url: str) -> dict[str, str]:
    """What libpq is told for a queue's URL, ``postgresql://[USER@]HOST/DATABASE?…``.

    A unix socket's folder is written ``postgresql:///DATABASE?host=/run/postgresql``; a
    service file's entry ``postgresql:///?service=NAME``. Passwords come from a password
    file. Whatever is not surely on this machine is reached with ``sslmode=verify-full``; so
    is what ``PGHOSTADDR`` or ``PGSERVICE`` may lead elsewhere.

    Raises UsageError ``bad-queue-url``, ``password-in-url``, ``queue-without-tls``.
    """
    stated = _stated(url)
    if "password" in stated:
        raise _password_in_url()
    unknown = sorted(stated.keys() - _PARAMETERS)
    if unknown:
        raise _bad_url(f"it has a parameter that is not used here: {unknown[0][:40]!r}.")
    if not _is_here(stated):
        if stated.setdefault("sslmode", _VERIFIED) != _VERIFIED:
            raise _without_tls(stated["sslmode"])
        if not _by_service(stated) and _ROOT_VARIABLE not in os.environ:
            stated.setdefault("sslrootcert", "system")
    stated.setdefault("connect_timeout", _CONNECT_SECONDS)
    return {**stated, **_OURS}


def _stated(url: str) -> dict[str, str]:
    if len(url) > _LONGEST or not url.isprintable():
        raise _bad_url("it is too long, or has characters that no address has.")
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _bad_url("it can't be taken apart.") from None
    if parts.scheme not in _SCHEMES:
        raise _bad_url("it does not begin with postgresql://.")
    if parts.fragment or "," in parts.netloc:
        raise _bad_url("it names more than one server, or a part of a page.")
    found: dict[str, str] = {}
    if host:
        found["host"] = unquote(host)
    if port is not None:
        found["port"] = str(port)
    if parts.username:
        found["user"] = unquote(parts.username)
    if parts.password is not None:
        raise _password_in_url()
    if parts.path.strip("/"):
        found["dbname"] = unquote(parts.path.lstrip("/"))
    for key, value in pairs:
        if key in found:
            raise _bad_url(f"it states {key[:40]!r} twice.")
        found[key] = value
    _check_values(found)
    return found


def _check_values(found: Mapping[str, str]) -> None:
    """What was written with percent signs is looked at as libpq will see it."""
    if any("," in found.get(key, "") for key in _ONE_EACH):
        raise _bad_url("it names more than one server.")
    if not all(value.isprintable() for value in found.values()):
        raise _bad_url("it has characters that no address has.")


def _is_here(stated: Mapping[str, str]) -> bool:
    """Whether the URL itself says that the server is on this machine, and nothing is in doubt."""
    if _by_service(stated):
        return False
    host, address = stated.get("host", ""), stated.get("hostaddr")
    if address is not None:
        return address in _LOOPBACK
    if os.environ.get(_ADDRESS_VARIABLE, "") not in ("", *_LOOPBACK):
        return False
    return host.startswith("/") or host in _LOOPBACK


def _by_service(stated: Mapping[str, str]) -> bool:
    return "service" in stated or bool(os.environ.get(_SERVICE_VARIABLE))


def _bad_url(why: str) -> UsageError:
    return UsageError(
        "bad-queue-url",
        "The queue's address can't be used",
        f"--queue: {why[:1].upper()}{why[1:]}",
        "Write postgresql://USER@HOST/DATABASE, or postgresql:///DATABASE?host=/run/postgresql"
        " for a server on this machine.",
    )


def _password_in_url() -> UsageError:
    return UsageError(
        "password-in-url",
        "A password stands in the queue's address",
        "Whoever lists this machine's processes can read it there.",
        "Take it out, and change it. Write it into ~/.pgpass (mode 0600; a line is"
        " HOST:PORT:DATABASE:USER:PASSWORD), or into the file that PGPASSFILE or passfile= names;"
        " or have the server know you by a client certificate (sslcert, sslkey).",
    )


def _without_tls(mode: str) -> UsageError:
    return UsageError(
        "queue-without-tls",
        "The queue would be reached without TLS that holds",
        f"sslmode={mode[:20]} lets anybody on the way be the server.",
        "Say sslmode=verify-full, or nothing; sslrootcert=FILE where the server's certificate is"
        " from an authority of your own. A unix socket or 127.0.0.1 needs none.",
        {"sslmode": mode[:20]},
    )
