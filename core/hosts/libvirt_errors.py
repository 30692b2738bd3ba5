# SPDX-License-Identifier: Apache-2.0
"""Says what libvirt refuses, or why its daemon can't be reached: meaning, cause and remedy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..errors import HostError
from .connection_errors import INJECT_COMMAND, OPEN_QUESTION
from .host_words import visible

_SHOWN: Final = 1000


class VirshRefused(Exception):
    """virsh printed errors; ``lines`` are libvirt's own words, without “error:”."""

    def __init__(self, command: str, lines: Sequence[str]) -> None:
        super().__init__(command)
        self.command = command
        self.words = "; ".join(lines)[:_SHOWN]


class _Known(NamedTuple):
    pattern: re.Pattern[str]
    code: str
    title: str
    message: str
    remedy: str


def _known(pattern: str, code: str, title: str, message: str, remedy: str) -> _Known:
    return _Known(re.compile(pattern, re.IGNORECASE), code, title, message, remedy)


_BROKEN: Final = "libvirt-unreachable"

# libvirt's own words, as 6 to 11 say them in the C locale; the first that fits counts.
_KNOWN: Final = (
    _known(
        r"certificate|TLS handshake|x509|hostname .* does not match|unable to verify TLS",
        "libvirt-tls-refused",
        "TLS with the libvirt daemon failed",
        "The certificates don't fit: the daemon's, or the one that is shown to it.",
        "Name the folder with the right cacert.pem, clientcert.pem and clientkey.pem (pkipath=…),"
        " and the name that the daemon's certificate has.",
    ),
    _known(
        r"authentication (failed|unavailable|cancelled)|access denied|polkit|not authorized",
        "libvirt-authentication-refused",
        "libvirt does not let this user in",
        "The daemon refused the connection.",
        "Have your user put into the group libvirt on the host, or give the right certificate.",
    ),
    _known(
        r"permission denied",
        "host-permission-denied",
        "This user may not use libvirt's socket",
        "The daemon's socket can't be opened.",
        "Have your user put into the group libvirt on the host.",
    ),
    _known(
        r"No such file or directory|Connection refused|failed to connect|unable to connect"
        r"|no route to host|Name or service not known|Network is unreachable|timed? ?out"
        r"|Cannot (recv|write) data|End of file while|client socket is closed|Disconnected"
        r"|HANDLE_HANGUP or",
        _BROKEN,
        "The libvirt daemon can't be reached",
        "Nobody answers there, or the connection broke.",
        "Check that libvirtd (or virtqemud) runs on the host, and the address.",
    ),
    _known(
        r"failed to get domain|Domain not found|no domain with matching",
        "libvirt-domain-unknown",
        "libvirt has no such VM",
        "No domain has that name or UUID.",
        "See `virsh list --all` on the host; names are spelled exactly.",
    ),
    _known(
        r"only supported in SEV-enabled|domain is not.*SEV|launch security.*not (supported|enab)",
        "sev-not-enabled",
        "This VM is not protected by SEV",
        "libvirt knows nothing of launch security for this VM, so its memory is open to the host.",
        "Add launchSecurity to the domain: `watchword launch handover --form libvirt --merge`"
        " writes it.",
    ),
    _known(
        r"QEMU does not support SEV|SEV.* not supported with this QEMU|function is not supported",
        "host-without-sev",
        "SEV is not usable on this host",
        "libvirt found no SEV in this machine's QEMU, or is too old for it (8.0 is needed).",
        "On the host: enable SEV in the set-up, load kvm_amd with sev=1, restart libvirtd; its"
        " capabilities are cached.",
    ),
    _known(
        r"domain is not running|not active",
        "libvirt-domain-not-running",
        "The VM is not started",
        "The domain is shut off.",
        "Have it started paused: `virsh start --paused DOMAIN`.",
    ),
)


def explain_virsh(refused: VirshRefused, url: str) -> HostError:
    """Our error for libvirt's words; what isn't known is quoted, bounded and escaped."""
    shown = visible(refused.words)
    details: dict[str, object] = {"host": url, "command": refused.command, "libvirt_said": shown}
    for known in _KNOWN:
        if known.pattern.search(refused.words):
            message = f"{known.message} It said: “{shown}”."
            if known.code == _BROKEN:
                message += _open_question(refused.command)
                details |= _arrival(refused.command)
            return HostError(known.code, known.title, message, known.remedy, details)
    return HostError(
        "host-refused-command",
        "The host refused the command",
        f"libvirt refused {refused.command}: “{shown}”.",
        "See libvirt's log on the host.",
        details,
    )


def not_installed(url: str) -> HostError:
    """There is no virsh."""
    return HostError(
        "virsh-missing",
        "There is no virsh here",
        f"{url} is reached with libvirt's own client, and none was found.",
        "Install it: `apt install libvirt-clients`.",
        {"host": url, "program": "virsh", "package": "libvirt-clients"},
    )


def not_started(url: str, why: str) -> HostError:
    """The system does not let virsh start."""
    return HostError(
        "virsh-failed",
        "virsh could not be started",
        f"libvirt's own client could not be started for {url}: {why}.",
        "Check that `virsh --version` works here.",
        {"host": url, "program": "virsh", "package": "libvirt-clients"},
    )


def virsh_timed_out(url: str, command: str, seconds: float) -> HostError:
    """The daemon did not answer."""
    return HostError(
        "libvirt-timeout",
        "The libvirt daemon does not answer",
        f"{url} did not answer {command} within {seconds:g} seconds." + _open_question(command),
        "Check that the daemon and the VM are alive; the connection was given up.",
        {"host": url, "command": command, **_arrival(command)},
    )


def virsh_ended(url: str, last: str, command: str = "") -> HostError:
    """Virsh is gone."""
    said = f" Its last words: “{last}”." if last else ""
    return HostError(
        "libvirt-connection-lost",
        "The connection to libvirt is gone",
        f"virsh, which held the connection to {url}, has ended.{said}" + _open_question(command),
        "Try again; the launch is where it was.",
        {"host": url, **_arrival(command)},
    )


def said_too_much(url: str, limit: int) -> HostError:
    """The answer is longer than any honest one."""
    return HostError(
        "host-message-too-large",
        "The host says too much",
        f"{url} answered with more than {limit} bytes; no honest answer is as long.",
        "Find out what is behind this address before you go on.",
        {"host": url, "limit": limit},
    )


def not_a_sev_domain(url: str) -> HostError:
    """Libvirt succeeded and said nothing: that is how it answers for a VM without SEV."""
    return HostError(
        "sev-not-enabled",
        "This VM is not protected by SEV",
        f"libvirt has no launch security information for the VM of {url}: it answers with nothing"
        " at all, which it does for a VM that was started without SEV.",
        "Add launchSecurity to the domain and start it anew: `watchword launch handover --form"
        " libvirt --merge` writes it.",
        {"host": url},
    )


def malformed(command: str, field: str, what: str) -> HostError:
    """An answer of libvirt's that makes no sense."""
    return HostError(
        "host-answer-malformed",
        "The host's answer makes no sense",
        f"libvirt answered {command} with something that it never says. Its field “{field}” {what}."
        + _open_question(command),
        "A host that goes on like this is not to be trusted.",
        {"command": command, "field": field, **_arrival(command)},
    )


def no_domain_named(url: str) -> HostError:
    """The URL names a machine, and a VM is needed."""
    return HostError(
        "libvirt-no-domain",
        "Which VM?",
        f"{url} names a host, and no VM on it.",
        "Add ?domain=NAME to the URL.",
        {"host": url},
    )


_INJECTS: Final = "domsetlaunchsecstate"


def _open_question(command: str) -> str:
    return OPEN_QUESTION if command in (_INJECTS, INJECT_COMMAND) else ""


def _arrival(command: str) -> dict[str, object]:
    return {"packet_arrived": "unknown"} if command in (_INJECTS, INJECT_COMMAND) else {}
