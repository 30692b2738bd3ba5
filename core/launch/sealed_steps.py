# SPDX-License-Identifier: Apache-2.0
"""The steps of a launch whose packet is sealed and stored: its keys are gone for good.

Its measurement can't be computed again then. So it is compared with the one that the
packet was sealed for, byte for byte; the platform is judged again, the same bytes are
sent again, and the running guest has to show a report that names an approved digest.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import HostError, VerificationRefused
from ..hosts.protocol import SevState
from ..sev.firmware_version import FirmwareVersion
from ..sev.measurement import ReportedMeasurement
from ..sev.secret_packet import Packet, StoredPacket, packet_sha256, platform_not_proven
from ..sev.session import LaunchMaterial
from .driver import Observer, Record, unobserved
from .engine import Launch
from .fault_points import fault_point
from .sev_base import SevSteps, out_of_order, session_record
from .sev_guest import check_policy, inject
from .sev_plan import SevPlan, SevWorld

_NOT_RUNNING: Final = ("libvirt-domain-not-running", "libvirt-domain-unknown")


@dataclass(frozen=True, slots=True)
class EarlierSealing:
    """What an earlier process stored when it sealed, or when the launch was over.

    ``version``  the secure processor's firmware, as its measurement vouched for it then
    ``matched``  the approved launch digest (32 bytes) that was verified then
    ``packet``   None for a guest without secrets
    ``notes``    what may be told of the secrets
    """

    material: LaunchMaterial
    reported: ReportedMeasurement
    version: FirmwareVersion
    matched: bytes
    packet: StoredPacket | None
    notes: Sequence[Mapping[str, object]]


class SealedLaunch(SevSteps):
    """Drives a launch whose keys are gone to its end; it never seals anything."""

    def __init__(
        self,
        launch: Launch,
        plan: SevPlan,
        world: SevWorld,
        earlier: EarlierSealing,
        observe: Observer = unobserved,
    ) -> None:
        super().__init__(launch, plan, world, observe)
        self._earlier = earlier
        self._runs_already = False

    @property
    def material(self) -> LaunchMaterial | None:
        """What the host was given to start the VM with."""
        return self._earlier.material

    async def _session(self) -> Record:
        return {**session_record(self._plan.policy, self._earlier.material), "erased": True}

    async def _start(self) -> Record:
        """Look at the VM that the packet was sealed for; one that is gone stays gone.

        The packet fits no other VM, and a second one from the same blob is what a host would
        have to start to try.
        """
        async with self._world.open_guest() as host:
            try:
                state = await host.state()
            except HostError as error:
                if error.code not in _NOT_RUNNING:
                    raise
                raise _vm_is_gone(host.url) from None
        return {"state": state.state.value, "paused": state.paused, "host": host.url}

    async def _measurement(self) -> Record:
        async with self._world.open_guest() as host:
            state = await host.state()
            reported = ReportedMeasurement.parse(await host.measurement())
        check_policy(state, self._plan.policy.policy.value)
        if not hmac.compare_digest(reported.build(), self._earlier.reported.build()):
            raise _another_vm(self._earlier.reported, reported)
        self._runs_already = state.state is SevState.RUNNING
        version = FirmwareVersion(state.api_major, state.api_minor, state.build)
        return {
            "verdict": "the VM that was measured and verified before the packet was sealed",
            "measurement": reported.measurement.hex(),
            "nonce": reported.nonce.hex(),
            "firmware": str(version),
            "api_major": version.api_major,
            "api_minor": version.api_minor,
            "build": version.build,
        }

    async def _secret(self) -> Record:
        packet = self._earlier.packet
        if packet is None:
            return {"secrets": [], "injected": "nothing to inject"}
        record = {
            "secrets": list(self._earlier.notes),
            "route": self._plan.route.value,
            "packet_sha256": packet_sha256(packet),
        }
        if self._runs_already:
            return {**record, "injected": "the VM runs already; nothing was sent this time"}
        self._check_still_allowed()
        async with self._world.open_guest() as host:
            await inject(host, packet)
        fault_point("packet-sent")
        self._world.keeper.handed_over()
        return {**record, "injected": "host says", "sent": "the same bytes again"}

    def _check_still_allowed(self) -> None:
        """What was known when it was sealed counts no more than what is known today."""
        plan, platform = self._plan, self._judged
        plan.requirements.check(self._earlier.version, plan.policy.policy.minimum_api)
        plan.platform_rules.allow_secrets(platform)
        if platform is None:
            raise out_of_order("a secret needs a platform")
        if not platform.proven and not all(note.get("test") for note in self._earlier.notes):
            raise platform_not_proven(platform.name)

    def _sealed_packet(self) -> Packet | None:
        return self._earlier.packet

    def _digests(self) -> Sequence[bytes]:
        """The digest that was verified, if it is still among those that are approved."""
        approved = [digest.value for digest in self._plan.digests]
        return [self._earlier.matched] if self._earlier.matched in approved else approved


def _vm_is_gone(url: str) -> HostError:
    return HostError(
        "sealed-vm-gone",
        "The VM that the secret was sealed for is gone",
        f"The host says that the VM of {url} is not started. The launch's one packet fits the VM"
        " that was measured, and no other one; nothing was started or sent this time.",
        "Abandon this launch and start a new one: `watchword launch abandon ID`. The VM then gets"
        " a launch blob of its own.",
        {"host": url},
    )


def _another_vm(earlier: ReportedMeasurement, reported: ReportedMeasurement) -> VerificationRefused:
    return VerificationRefused(
        "another-vm",
        "This is not the VM that the secret was sealed for",
        "Its measurement is not the one that was verified: the VM was started anew, or it is"
        " another one. The launch's one packet fits the first VM alone.",
        "Nothing was sent this time. Have the first VM brought back if it still runs; otherwise"
        " abandon this launch and start a new one.",
        {"sealed_for": earlier.build().hex(), "reported": reported.build().hex()},
    )
