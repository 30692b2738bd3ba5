# SPDX-License-Identifier: Apache-2.0
"""Reads the URL of a QMP socket that is reached over SSH: user, host, port and remote path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from .url_parts import (
    UNIX_PATH_BYTES,
    bracketed,
    decoded,
    host_and_rest,
    port,
    refuse,
    refuse_query,
)

_EXAMPLE: Final = "Write qmp+ssh://user@host/run/vm1.sock or qmp+ssh://user@host:2222/run/vm1.sock."
_USER: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+-]{0,63}", re.ASCII)
# ssh itself gives a meaning to “:”, “\”, “%” and “${”, and the remote shell to most others.
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_.+@,=-]+)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class SshAddress:
    """A unix socket on another machine.

    ``host``  a name, a numeric address without brackets, or a name in the user's ssh config
    ``path``  on that machine: absolute, at most 107 bytes of a few harmless characters
    ``user``  None for whom the user's ssh config says
    ``port``  1 to 65535; None for what the user's ssh config says
    """

    host: str
    path: str
    user: str | None = None
    port: int | None = None

    @property
    def url(self) -> str:
        """The URL of this address, in ASCII; there is never a password in it."""
        user = "" if self.user is None else f"{self.user}@"
        number = "" if self.port is None else f":{self.port}"
        return f"qmp+ssh://{user}{bracketed(self.host)}{number}{quote(self.path, '/@,=+')}"

    @property
    def plaintext_remote(self) -> bool:
        """Never: SSH encrypts."""
        return False


def ssh_from_url(rest: str) -> SshAddress:
    """The address in what follows ``qmp+ssh:``. Raises UsageError ``bad-host-url``."""
    refuse_query(rest)
    if not rest.startswith("//"):
        refuse("host", "Two slashes go before the host.", _EXAMPLE)
    authority, slash, path = rest[2:].partition("/")
    user, at, machine = authority.rpartition("@")
    host, after = host_and_rest(machine)
    if after and not after.startswith(":"):
        refuse("port", "What follows the address is no port.", _EXAMPLE)
    return SshAddress(
        host,
        _remote_path(decoded(slash + path, "path")),
        _user(user) if at else None,
        port(after[1:]) if after else None,
    )


def _user(text: str) -> str:
    if ":" in text:
        # Not repeated, not even in part: it is a password.
        refuse("credentials", "A password has no place in a URL.", "Use a key; " + _EXAMPLE)
    if text.startswith("-"):
        refuse("user", "A user's name must not begin with “-”.", _EXAMPLE)
    if not _USER.fullmatch(text):
        refuse("user", "It is not a name of letters, digits and “_.+-”.", _EXAMPLE)
    return text


def _remote_path(path: str) -> str:
    if not path or path.endswith("/"):
        refuse("path", "The path of the socket on the host is missing.", _EXAMPLE)
    if not _PATH.fullmatch(path):
        refuse(
            "path",
            "On the other machine it may have letters, digits and “_.+@,=-” between single "
            "slashes; others mean something to ssh.",
            "Have the VM's socket put elsewhere, or a symbolic link made to it.",
        )
    if len(path) > UNIX_PATH_BYTES:
        refuse(
            "path",
            f"It has {len(path)} bytes; the path of a unix socket has at most {UNIX_PATH_BYTES}.",
            "Have the socket, or a symbolic link to it, put into a folder with a shorter path.",
        )
    return path
