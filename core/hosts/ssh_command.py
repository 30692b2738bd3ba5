# SPDX-License-Identifier: Apache-2.0
"""The command lines of the user's own ssh: a tunnel to a socket, and a question through it."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from ..errors import HostError
from .limits import HostLimits
from .ssh_url import SshAddress

_SYSTEM_FOLDERS: Final = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
# What ssh, an agent, a FIDO key, Kerberos or a ProxyCommand of the user's works with.
_ENVIRONMENT: Final = (
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "SSH_SK_PROVIDER",
    "SSH_SK_HELPER",
    "KRB5CCNAME",
    "KRB5_CONFIG",
)
# The program goes on when its terminal does not: nobody can answer a prompt of ssh's, and a
# host key that nobody has looked at is not accepted. The user's config rules all the rest.
_OPTIONS: Final[Mapping[str, str]] = {
    "IgnoreUnknown": "ForkAfterAuthentication",
    "ForkAfterAuthentication": "no",
    "ForwardAgent": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "UpdateHostKeys": "no",
    "AddKeysToAgent": "no",
    "LogLevel": "INFO",
    "VisualHostKey": "no",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "ExitOnForwardFailure": "yes",
    "StreamLocalBindMask": "0177",
    "StreamLocalBindUnlink": "yes",
}

NOT_THERE: Final = 71
NO_SOCKET: Final = 72
NOT_ALLOWED: Final = 73
NOBODY_LISTENS: Final = 74
SOMEBODY_LISTENS: Final = 75
CANNOT_TELL: Final = 76


def tunnel_command(
    address: SshAddress, limits: HostLimits, socket: Path, control: Path
) -> list[str]:
    """The program and its arguments that forward ``socket`` to the address, and do nothing else.

    ``control`` is where the same connection takes a question. A shared connection of the
    user's (ControlMaster) is not used: the forward would outlive us in it.
    Raises HostError ``ssh-missing``.
    """
    own = {
        "ConnectTimeout": str(max(1, math.ceil(limits.connect_seconds))),
        "ControlMaster": "yes",
        "ControlPersist": "no",
        "ControlPath": str(control),
    }
    words = [*_dies_with_us(), _ssh(address), "-a", "-k", "-x", "-T", "-N"]
    for name, value in {**_OPTIONS, **own}.items():
        words += ["-o", f"{name}={value}"]
    words += ["-L", f"{socket}:{address.path}"]
    if address.user is not None:
        words += ["-l", address.user]
    if address.port is not None:
        words += ["-p", str(address.port)]
    return [*words, "--", address.host]


def question_command(address: SshAddress, control: Path) -> list[str]:
    """What asks the host, through the tunnel's connection, how it is with the socket's path.

    Ends with one of this module's numbers, or with another where nobody may ask there.
    """
    words = [_ssh(address), "-F", "none", "-a", "-x", "-T", "-o", f"ControlPath={control}"]
    # Where the tunnel is gone, no connection of its own is made.
    words += ["-o", "ControlMaster=no", "-o", "BatchMode=yes", "-o", "ProxyCommand=false"]
    return [*words, "--", address.host, f"sh -c '{_question(address.path)}'"]


def _question(path: str) -> str:
    # Nothing to quote in it: see the characters that a path may have in ssh_url.py.
    folders = " ".join(str(folder) for folder in reversed(PurePosixPath(path).parents))
    return (
        f"for d in {folders}; do"
        f" test -d $d || exit {NOT_THERE}; test -x $d || exit {NOT_ALLOWED}; done;"
        f" test -e {path} || exit {NOT_THERE}; test -S {path} || exit {NO_SOCKET};"
        f" test -w {path} || exit {NOT_ALLOWED};"
        f" test -r /proc/net/unix || exit {CANNOT_TELL};"
        f' grep -q " 00010000 .* {path}$" /proc/net/unix || exit {NOBODY_LISTENS};'
        f" exit {SOMEBODY_LISTENS}"
    )


def environment() -> dict[str, str]:
    """All that ssh finds there: no secret of ours, and messages in English."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {**kept, "PATH": _path(), "LC_ALL": "C"}


def _ssh(address: SshAddress) -> str:
    found = shutil.which("ssh", path=_path())
    if found is None:
        raise HostError(
            "ssh-missing",
            "There is no ssh here",
            f"{address.url} is reached with this machine's own ssh, and none was found.",
            "Install it: `apt install openssh-client`.",
            {"host": address.url, "program": "ssh", "package": "openssh-client"},
        )
    return found


def _dies_with_us() -> list[str]:
    """What has the kernel end ssh if this process is killed; empty where that can't be had."""
    found = shutil.which("setpriv", path=_path())
    return [] if found is None else [found, "--pdeathsig", "KILL", "--"]


def _path() -> str:
    own = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    return os.pathsep.join(dict.fromkeys((*own, *_SYSTEM_FOLDERS)))
