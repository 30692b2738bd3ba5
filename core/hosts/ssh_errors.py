# SPDX-License-Identifier: Apache-2.0
"""Says why a host can't be reached over SSH, or why its connection ended: cause and remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from ..errors import HostError
from . import ssh_command as answers
from .ssh_url import SshAddress

if TYPE_CHECKING:
    from .ssh_process import SshProcess


class _Known(NamedTuple):
    """``message`` and ``remedy`` take {url} and {by_hand}, the command that a person would type."""

    code: str
    title: str
    message: str
    remedy: str


_KEY_CHANGED: Final = _Known(
    "ssh-host-key-changed",
    "The host shows another key than before",
    "The SSH host key of {url} is not the one that this user knows. Either the host was "
    "installed anew, or somebody sits in between.",
    "Ask the operator for the new key's fingerprint, on another way. Only if it is the one that "
    "ssh shows: remove the old key with `ssh-keygen -R`, connect once with `{by_hand}`, compare.",
)
_KEY_UNKNOWN: Final = _Known(
    "ssh-host-key-unknown",
    "Nobody has looked at this host's key yet",
    "The SSH host key of {url} is not known to this user, and a key that nobody has compared is "
    "not accepted.",
    "Connect once by hand, `{by_hand}`, and compare the fingerprint with one that the operator "
    "gave you on another way; ssh then remembers the key.",
)
_NOT_LET_IN: Final = _Known(
    "ssh-authentication-refused",
    "The host does not let this user in",
    "{url} refused the SSH login. Nothing can be typed in here: keys have to be in ssh-agent, or "
    "in files without a passphrase; passwords do not work.",
    "Load the key with `ssh-add`, and check that `ssh -o BatchMode=yes` gets in: `{by_hand}`.",
)
_NAME_UNKNOWN: Final = _Known(
    "host-name-unknown",
    "The host's name was not found",
    "No address is known for the name in {url}, nor does the ssh config give one.",
    "Check the spelling, ~/.ssh/config and this machine's name servers.",
)
_NOBODY_LISTENS: Final = _Known(
    "host-refused-connection",
    "No SSH server listens there",
    "The SSH connection to {url} was refused. Most likely the host is just starting, or its SSH "
    "server listens on another port.",
    "Check that the host is up, and name the port: qmp+ssh://user@host:PORT/path.",
)
_TIMED_OUT: Final = _Known(
    "host-connect-timeout",
    "The host does not answer",
    "The SSH server of {url} did not answer in time. Most likely the host is down, or a firewall "
    "drops the packets.",
    "Check the address and that the host is up.",
)
_UNREACHABLE: Final = _Known(
    "host-unreachable",
    "The host can't be reached",
    "There is no way to {url}.",
    "Check the address, the network between here and there, and the firewalls.",
)
_CONFIG: Final = _Known(
    "ssh-config-unusable",
    "ssh does not accept its configuration",
    "ssh refused to begin for {url}, because of its own configuration files.",
    "Mend what ssh complains about; `{by_hand}` shows it too.",
)
_LOCAL_FORWARD: Final = _Known(
    "ssh-forward-failed",
    "ssh could not set up its forwards",
    "ssh logged in at {url}, but could not listen on this machine. Most likely the ssh config "
    "has forwards of its own for this host (LocalForward, DynamicForward), which are in use.",
    "Add an entry without forwards for this host to ~/.ssh/config, and name that in the URL.",
)
_HUNG_UP: Final = _Known(
    "host-closed-connection",
    "The host hung up",
    "The SSH server of {url} closed the connection before anybody was logged in. Most likely it "
    "is just ending, is overloaded, or does not want this machine.",
    "Try again in a while; else ask the operator what its log says.",
)
_OTHER: Final = _Known(
    "ssh-failed",
    "ssh did not get to the host",
    "ssh ended before {url} was reached.",
    "Check that `{by_hand}` works.",
)

# In the order in which they are tried: what ssh says of itself, in the C locale, 7.4 to 10.
_KNOWN: Final[tuple[tuple[re.Pattern[str], _Known], ...]] = tuple(
    (re.compile(text), known)
    for text, known in (
        (r"HOST IDENTIFICATION HAS CHANGED|REVOKED HOST KEY", _KEY_CHANGED),
        (r"Host key verification failed", _KEY_UNKNOWN),
        (r"Bad configuration option|Bad owner or permissions|terminating, \d+ bad", _CONFIG),
        (r"Could not resolve hostname", _NAME_UNKNOWN),
        (r"Permission denied \(|Too many authentication failures|no more auth", _NOT_LET_IN),
        (r"Connection refused", _NOBODY_LISTENS),
        (r"timed out", _TIMED_OUT),
        (r"No route to host|Network is unreachable", _UNREACHABLE),
        (r"Could not request local forwarding|cannot bind to path", _LOCAL_FORWARD),
        (r"[Cc]onnection (closed|reset)|Broken pipe", _HUNG_UP),
    )
)


def ended(address: SshAddress, process: SshProcess) -> HostError:
    """Why ssh ended before its forward was there."""
    said = process.said
    known = next((known for pattern, known in _KNOWN if pattern.search(said)), _OTHER)
    return _error(address, known, process.shown)


def not_ready(address: SshAddress, seconds: float, shown: str) -> HostError:
    """A login that neither succeeded nor failed within the limit."""
    known = _TIMED_OUT._replace(
        title="The login took too long",
        message=f"ssh had not logged in at {{url}} after {seconds:g} s. Most likely an agent or "
        "a FIDO key waits for somebody to confirm, or the host is very slow.",
        remedy="Check that `{by_hand}` gets in without asking, then try again.",
    )
    return _error(address, known, shown, {"seconds": seconds})


def dropped(failure: HostError, process: SshProcess) -> HostError:
    """A closed connection whose reason is that ssh itself has lost the host."""
    return HostError(
        failure.code,
        failure.title,
        f"The SSH connection ended.{_quoted(process.shown)} {failure.message}",
        "Check that the host is up and can be reached, then connect again.",
        {**failure.details, **_said(process.shown)},
    )


def refused_there(address: SshAddress, answer: int | None, process: SshProcess) -> HostError:
    """Why sshd gave no connection to the socket; ``answer`` is what the host said of its path."""
    known = _THERE.get(answer if answer is not None else -1, _UNCLEAR)
    filled = known._replace(
        message=known.message.replace("{path}", address.path),
        remedy=known.remedy.replace("{path}", address.path),
    )
    return _error(address, filled, process.shown)


_FORWARDING_REMEDY: Final = (
    "Have AllowTcpForwarding and AllowStreamLocalForwarding set to `local` or `yes` in the host's "
    "sshd_config, and no `PermitOpen none`, DisableForwarding, or `restrict` in authorized_keys. "
    "AllowStreamLocalForwarding alone is not enough."
)
_UNCLEAR: Final = _Known(
    "ssh-socket-refused",
    "The host gives no connection to the socket",
    "The SSH server of {url} let this user in and then refused the connection to {path}; it does "
    "not say why. Either nobody listens there, or this user may not open it, or the server "
    "forbids forwarding.",
    "Check on the host that {path} is there, that QEMU runs, and that this user may write to it. "
    + _FORWARDING_REMEDY,
)
_THERE: Final[Mapping[int, _Known]] = MappingProxyType(
    {
        answers.NOT_THERE: _Known(
            "host-socket-missing",
            "There is no such socket on the host",
            "Nothing is at {path} of {url}. Most likely the VM is not running, or has its QMP "
            "socket somewhere else.",
            "Start QEMU with -qmp unix:PATH,server=on,wait=off and name the same PATH.",
        ),
        answers.NO_SOCKET: _Known(
            "host-not-qmp",
            "This is no socket",
            "{path} of {url} is there, but is no socket.",
            "Name the path that QEMU was given with -qmp unix:PATH.",
        ),
        answers.NOT_ALLOWED: _Known(
            "host-permission-denied",
            "The socket may not be opened on the host",
            "The user who logged in at {url} has no right to connect to {path}.",
            "Have that user added to the group that owns the socket and its folder, or log in as "
            "the user that runs QEMU.",
        ),
        answers.NOBODY_LISTENS: _Known(
            "host-refused-connection",
            "Nobody listens there",
            "{path} of {url} is a socket on which nobody listens. Most likely QEMU has ended and "
            "left its socket file behind.",
            "Start the VM, or name the socket that its QEMU was started with (-qmp).",
        ),
        answers.SOMEBODY_LISTENS: _Known(
            "ssh-forwarding-forbidden",
            "The host's SSH server forbids forwarding",
            "At {path} of {url} somebody listens, and this user may connect to it; but the SSH "
            "server refused to, and gave no reason. Most likely its configuration forbids it.",
            _FORWARDING_REMEDY,
        ),
    }
)


def _error(
    address: SshAddress,
    known: _Known,
    shown: str,
    more: Mapping[str, object] = MappingProxyType({}),
) -> HostError:
    def fill(text: str) -> str:
        return text.replace("{url}", address.url).replace("{by_hand}", _by_hand(address))

    return HostError(
        known.code,
        known.title,
        fill(known.message) + _quoted(shown),
        fill(known.remedy),
        {"host": address.url, **more, **_said(shown)},
    )


def _by_hand(address: SshAddress) -> str:
    port = "" if address.port is None else f" -p {address.port}"
    user = "" if address.user is None else f"{address.user}@"
    return f"ssh{port} {user}{address.host}"


def _quoted(shown: str) -> str:
    return f" ssh said: “{shown}”" if shown else ""


def _said(shown: str) -> dict[str, object]:
    return {"ssh_said": shown} if shown else {}
