# SPDX-License-Identifier: Apache-2.0
"""What is asked of the host of a started VM: its state, the injection, that it runs."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator, Sequence
from typing import Final

from ..errors import BadInput, HostError, VerificationRefused, WatchwordError
from ..hosts.command_errors import state_forbids
from ..hosts.protocol import GuestStarter, GuestState, Host, SevState, StartOrder
from ..sev.attestation_report import AttestationReport, VerifiedReport, verify_report
from ..sev.certificates import SevCertificate
from ..sev.secret_packet import Packet
from ..sev.session import LaunchMaterial
from .driver import Record
from .keeper import Confirmation
from .sev_plan import SevPlan

_BAD_MEASUREMENT: Final = 11


async def start_guest(host: Host, material: LaunchMaterial, plan: SevPlan) -> None:
    """Have the VM started paused, where the host can do that by itself; else somebody has."""
    if isinstance(host, GuestStarter):
        await host.start(start_order(material, plan))


def start_order(material: LaunchMaterial, plan: SevPlan) -> StartOrder:
    """What a host needs to start this launch's VM."""
    return StartOrder(
        material.godh.build(),
        material.blob.build(),
        plan.policy.policy.value,
        plan.kernel_hashes,
        plan.contents,
    )


def check_policy(state: GuestState, policy: int) -> None:
    """A host that names another policy has started the VM with it, or lies; no MAC can match."""
    if state.policy != policy:
        raise VerificationRefused(
            "policy-changed",
            "The VM runs under another policy",
            f"The host says 0x{state.policy:x}; this launch was made for 0x{policy:x}.",
            "Nothing was sent this time. Have the VM started with the policy of the launch blob.",
            {"policy": policy, "host_policy": state.policy},
        )


def check_takes_secrets(state: SevState) -> None:
    """HostError ``guest-state-forbids`` where no secret can be injected any more, or yet.

    Asked before anything is sealed: a packet for a VM that runs already would be the
    launch's one packet, and of use to nobody.
    """
    if state is not SevState.LAUNCH_SECRET:
        raise state_forbids("injecting a secret", state)


async def inject(host: Host, packet: Packet) -> None:
    """Inject; a secure processor that finds a bad MAC has refused the VM, not the transport."""
    with _refusals_of_packets():
        await host.inject(packet)


@contextlib.contextmanager
def _refusals_of_packets() -> Iterator[None]:
    """Turn a bad MAC that the host tells of into the refusal that it is."""
    try:
        yield
    except HostError as error:
        if error.details.get("fw_error") != _BAD_MEASUREMENT:
            raise
        raise VerificationRefused(
            "packet-refused",
            "The secure processor refused the packet (fw_error 11, bad measurement)",
            "The VM that it was offered to is not the one that was measured: the host may have"
            " started another one from the same launch blob.",
            "The host says that the secret stayed sealed; nobody else can say so. Abandon this"
            " launch, and do not trust this host.",
            dict(error.details),
        ) from None


async def let_run(host: Host) -> None:
    """Let the guest run; HostError ``guest-not-running`` where it stays paused.

    A host that is reached by hand tells only here that the packet was refused.
    """
    with _refusals_of_packets():
        await host.resume()
    state = await host.state()
    if not state.running:
        raise HostError(
            "guest-not-running",
            "The guest does not run",
            "The host took the command to let it run, and says that it is paused.",
            "Ask the host's operator why the VM stopped.",
        )


def check_report(
    data: bytes, pek: bytes, nonce: bytes, *, digests: Sequence[bytes], policy: int
) -> VerifiedReport:
    """The report of a guest with one of these launch digests (32 bytes each).

    Raises BadInput for what is no report, and VerificationRefused as ``verify_report``.
    """
    report = AttestationReport.parse(data)
    # One that is none of them is refused as another digest than the first.
    expected = report.launch_digest if report.launch_digest in digests else digests[0]
    return verify_report(
        report, SevCertificate.parse(pek, "PEK"), nonce, launch_digest=expected, policy=policy
    )


async def confirm(
    host: Host, nonce: bytes, pek: bytes | None, *, digests: Sequence[bytes], policy: int
) -> tuple[Confirmation, Record]:
    """Ask for a report signed by the platform's PEK, where the PEK is known.

    Without it there is the host's word that the guest runs. A report that doesn't verify
    is an alarm: after the launch the digest can only be the same.
    """
    if pek is None:
        return Confirmation(), {"running": "host says"}
    try:
        data = await host.attestation_report(nonce)
    except HostError as error:
        return Confirmation(), {"running": "host says", "report": error.title}
    try:
        verified = check_report(data, pek, nonce, digests=digests, policy=policy)
    except (BadInput, VerificationRefused) as error:
        raise _not_confirmed(error) from None
    record = {
        "running": "confirmed by a report that the platform's PEK signed",
        "report": base64.b64encode(data).decode(),
        "report_nonce": nonce.hex(),
    }
    return Confirmation(data, nonce, verified.report.launch_digest), record


def _not_confirmed(error: WatchwordError) -> VerificationRefused:
    """A false report after the packet was handed over: what is out can't be called back."""
    return VerificationRefused(
        "running-guest-not-confirmed",
        "The running guest's report does not verify, and the secret is already out",
        f"It was sealed for the VM that was measured and let run, but then: {error.message}",
        "Stop the VM, replace the secret, and do not trust this host.",
        {**error.details, "secret_sent": True},
    )
