# SPDX-License-Identifier: Apache-2.0
"""Explains what QEMU refuses or what a guest's state forbids: meaning, cause and remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ..errors import HostError
from .connection_errors import INJECT_COMMAND
from .firmware_errors import FirmwareCommand, firmware_error_meaning, likely_cause
from .host_words import visible
from .protocol import SevState

_FIRMWARE_NUMBER: Final = re.compile(r"\bfw_err(?:or)?\s*=\s*(-?[0-9]{1,9})\b", re.ASCII)

_SINCE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "query-sev": "2.12",
        "query-sev-capabilities": "2.12",
        "query-sev-launch-measure": "2.12",
        INJECT_COMMAND: "6.0",
        "query-sev-attestation-report": "6.1",
    }
)

_SEV_OPTIONS: Final = (
    "-object sev-guest,id=sev0,policy=…,cbitpos=…,reduced-phys-bits=…,dh-cert-file=…,"
    "session-file=… -machine q35,confidential-guest-support=sev0 -S"
)

_STATE_MEANINGS: Final[Mapping[SevState, tuple[str, str]]] = MappingProxyType(
    {
        SevState.UNINIT: (
            "the launch has not begun",
            "Wait until QEMU has set the VM up, or look at QEMU's own messages.",
        ),
        SevState.LAUNCH_UPDATE: (
            "firmware and kernel are still being loaded and measured",
            "Wait until the VM is set up, then try again.",
        ),
        SevState.LAUNCH_SECRET: (
            "the VM is measured and waits for its secret",
            "Go on with the launch.",
        ),
        SevState.RUNNING: (
            "the VM was started, and no secret can be injected after that",
            "Start a new launch, with the VM paused (QEMU's -S), so that it waits for its owner.",
        ),
        SevState.SEND_UPDATE: (
            "the VM is being migrated away",
            "Find out who moves this VM and why; start a new launch.",
        ),
        SevState.RECEIVE_UPDATE: (
            "the VM is being migrated here",
            "Find out who moves this VM and why; start a new launch.",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """QEMU's refusal of a command: its error class and description, both the host's own words."""

    command: str
    error_class: str
    words: str

    @property
    def shown(self) -> str:
        """The description, bounded and with nothing invisible in it."""
        return visible(self.words)


def explain_refusal(refusal: Refusal) -> HostError:
    """The error for a refused command: known texts of QEMU's explained, others quoted."""
    if refusal.error_class == "CommandNotFound":
        return _command_missing(refusal)
    for text, explain in _KNOWN_TEXTS:
        # Only the beginning is looked at: the words may be as long as a message may be.
        if text.search(refusal.words[:1000]):
            return explain(refusal)
    return _error(
        refusal,
        "host-refused-command",
        "The host refused the command",
        f"QEMU refused {refusal.command}.",
        "See what QEMU says, and QEMU's own log on the host.",
    )


def sev_not_enabled(refusal: Refusal | None = None) -> HostError:
    """The VM is no SEV guest, says ``query-sev`` or a refusal."""
    return _error(
        refusal or Refusal("query-sev", "", ""),
        "sev-not-enabled",
        "This VM is not protected by SEV",
        "The VM was not started as an SEV guest, so its memory is open to the host. Most likely "
        "QEMU's options sev-guest and confidential-guest-support are missing, or libvirt's "
        "launchSecurity element.",
        f"Start the VM with {_SEV_OPTIONS}, or with launchSecurity type='sev' in libvirt's XML.",
    )


def guest_is_snp() -> HostError:
    """An SEV-SNP guest, which has another protocol."""
    return _error(
        Refusal("query-sev", "", ""),
        "guest-is-sev-snp",
        "This VM is an SEV-SNP guest",
        "SEV-SNP guests prove themselves from the inside, with a report of their own. They have "
        "no launch measurement to read from the host and take no secret at launch.",
        "This version launches SEV and SEV-ES guests: start the VM with -object sev-guest.",
    )


def state_forbids(action: str, state: SevState) -> HostError:
    """The guest's launch is at a point where ``action`` (a noun phrase) is not possible."""
    meaning, remedy = _STATE_MEANINGS[state]
    return HostError(
        "guest-state-forbids",
        f"It is not the time for {action}",
        f"The VM's launch is in the state {state.value}: {meaning}.",
        remedy,
        {"state": state.value},
    )


def _command_missing(refusal: Refusal) -> HostError:
    since = _SINCE.get(refusal.command)
    if refusal.command.startswith("query-sev") and since == "2.12":
        return _without_sev(refusal)
    return _error(
        refusal,
        "qemu-command-missing",
        "QEMU is too old for this",
        f"This QEMU does not know the command {refusal.command}"
        + (f", which came with QEMU {since}." if since else "."),
        "Have the host's QEMU updated.",
    )


def _without_sev(refusal: Refusal) -> HostError:
    return _error(
        refusal,
        "qemu-without-sev",
        "This QEMU knows nothing of SEV",
        f"QEMU does not know {refusal.command}. It is older than 2.12, was built without SEV, "
        "or is not the QEMU for x86-64.",
        "Have the VM run by a qemu-system-x86_64 that was built with SEV and KVM.",
    )


def _host_without_sev(refusal: Refusal) -> HostError:
    return _error(
        refusal,
        "host-without-sev",
        "SEV is not usable on this host",
        "QEMU can't reach the secure processor. Most likely SEV is switched off in the host's "
        "firmware setup or in KVM, QEMU runs without KVM, or it may not open /dev/sev.",
        "On the host: enable SEV in the firmware setup, load kvm_amd with sev=1, run QEMU with "
        "accel=kvm, and give it access to /dev/sev.",
    )


def _no_secret_area(refusal: Refusal) -> HostError:
    return _error(
        refusal,
        "no-secret-area",
        "The VM's firmware has no place for a secret",
        "QEMU found no secret area in the firmware image. Most likely it is a plain OVMF; only "
        "the AmdSev build reserves such an area.",
        "Start the VM with the AmdSev build of OVMF (and inspect the image beforehand).",
    )


def _wrong_state(refusal: Refusal) -> HostError:
    return _error(
        refusal,
        "guest-state-forbids",
        "It is not the time for injecting a secret",
        "QEMU says that the VM is not waiting for a secret, and said a moment ago that it was. "
        "Either it was started in between, or the host does not tell the truth.",
        "Look at the VM's state; if it runs, start a new launch.",
    )


def _not_measured(refusal: Refusal) -> HostError:
    return _error(
        refusal,
        "measurement-not-available",
        "There is no measurement yet",
        "QEMU has no launch measurement for this VM: it is still being loaded, or is not an SEV "
        "or SEV-ES guest.",
        "Wait until the VM is set up, then try again.",
    )


def _undecodable(refusal: Refusal) -> HostError:
    return _error(
        refusal,
        "injection-refused",
        "The host could not read the packet",
        "QEMU says that the packet is not base64. It was sent as base64, so something between "
        "here and there has altered it.",
        "Connect to QEMU's own socket and send the same packet again.",
    )


def _firmware_refused(refusal: Refusal) -> HostError:
    match = _FIRMWARE_NUMBER.search(refusal.words[:1000])
    number = int(match[1]) if match else 0
    injecting = refusal.command == INJECT_COMMAND
    cause = likely_cause(FirmwareCommand.LAUNCH_SECRET, number) if injecting else ""
    return _error(
        refusal,
        "injection-refused" if injecting else "firmware-refused",
        "The secret was not accepted" if injecting else "The secure processor refused",
        f"The host reports fw_error {number}: {firmware_error_meaning(number)}."
        + (f" {cause}" if cause else ""),
        "Start a new launch if the packet does not belong to this VM; the packet of one launch "
        "fits no other."
        if injecting
        else "See what QEMU says, and QEMU's own log on the host.",
        more={"fw_error": number},
    )


# In the order in which they are tried. Source of the texts: QEMU target/i386/sev.c and
# its stub for builds without SEV, as of versions 6.0 to 10.
_KNOWN_TEXTS: Final[tuple[tuple[re.Pattern[str], Callable[[Refusal], HostError]], ...]] = tuple(
    (re.compile(text, re.IGNORECASE | re.ASCII), explain)
    for text, explain in (
        (_FIRMWARE_NUMBER.pattern, _firmware_refused),
        (r"no secret area found", _no_secret_area),
        (r"not in correct state", _wrong_state),
        (r"launch measurement is not available", _not_measured),
        (r"failed to decode (sequence header|data)", _undecodable),
        (r"sev is not available in this qemu", _without_sev),
        (r"kvm not enabled|sev is not enabled in kvm", _host_without_sev),
        (r"failed to open /dev/", _host_without_sev),
        (r"sev (is )?not (enabled|configured)", sev_not_enabled),
    )
)


def _error(
    refusal: Refusal,
    code: str,
    title: str,
    message: str,
    remedy: str,
    *,
    more: Mapping[str, object] = MappingProxyType({}),
) -> HostError:
    said = f" QEMU said: “{refusal.shown}”" if refusal.words else ""
    details: dict[str, object] = {"command": refusal.command, **more}
    if refusal.words:
        details["host_said"] = refusal.shown
    return HostError(code, title, message + said, remedy, details)
