# SPDX-License-Identifier: Apache-2.0
"""The steps of a SEV launch, from what should run to the running guest.

Verified things live only here, in memory, and each is made from the one before;
the ``Launch`` records what was seen, for people and files.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..errors import VerificationRefused
from ..hosts.protocol import Host
from ..sev.diagnosis_question import Question
from ..sev.firmware_version import FirmwareVersion
from ..sev.measurement import ReportedMeasurement, VerifiedMeasurement, verify_measurement
from ..sev.secret_packet import Packet, SecretPacket, packet_sha256, seal
from ..sev.session import (
    KEY_SIZE,
    LaunchMaterial,
    LaunchSession,
    SessionRandomness,
    adopt_session,
    create_session,
    restore_session,
)
from .driver import Observer, Record, unobserved
from .engine import Launch, Step, StepState
from .fault_points import fault_point
from .mismatch import MISMATCH, explain_mismatch
from .sev_base import SevSteps, out_of_order, session_record
from .sev_guest import check_policy, check_takes_secrets, inject
from .sev_plan import EarlierSession, SevPlan, SevWorld, prepare_secrets

__all__ = [
    "ATTEST_STEPS",
    "LAUNCH_STEPS",
    "PLATFORM",
    "RUN",
    "Observer",
    "SevLaunch",
    "is_waived",
    "trust",
]

GUEST: Final = Step("guest", "What should run", answers=("contents", "policy"))
PLATFORM: Final = Step("platform", "The platform", answers=("certificates",))
SESSION: Final = Step("session", "The launch blob", answers=("policy",), after=("platform",))
START: Final = Step("start", "The paused VM", after=("session",))
MEASUREMENT: Final = Step("measurement", "The measurement", after=("guest", "start"))
SECRET: Final = Step("secret", "The secret", answers=("secrets",), after=("measurement",))
RUN: Final = Step("run", "The running guest", after=("secret",))

LAUNCH_STEPS: Final = (GUEST, PLATFORM, SESSION, START, MEASUREMENT, SECRET, RUN)
"""A whole launch."""
ATTEST_STEPS: Final = (
    GUEST,
    PLATFORM,
    replace(SESSION, title="The transport keys"),
    replace(MEASUREMENT, after=("guest", "session")),
    SECRET,
    RUN,
)
"""The second half, for a VM that was started with keys made earlier."""


@dataclass(slots=True)
class _Established:
    """What the steps have verified so far in this process."""

    session: LaunchSession | None = None
    material: LaunchMaterial | None = None
    verified: VerifiedMeasurement | None = None
    packet: SecretPacket | None = None


class SevLaunch(SevSteps):
    """Drives a launch whose packet is still to be sealed."""

    def __init__(
        self, launch: Launch, plan: SevPlan, world: SevWorld, observe: Observer = unobserved
    ) -> None:
        super().__init__(launch, plan, world, observe)
        self._now = _Established()
        self._notes: tuple[dict[str, object], ...] = ()

    @property
    def packet(self) -> SecretPacket | None:
        """The one sealed packet of this launch, once there is one."""
        return self._now.packet

    @property
    def material(self) -> LaunchMaterial | None:
        """What the host was given to start the VM with."""
        return self._now.material

    def close(self) -> None:
        """Erase the session's keys; a launch that stopped half-way can't be taken further."""
        if self._now.session is not None:
            self._now.session.abandon()

    # -- session -----------------------------------------------------------------

    async def _session(self) -> Record:
        keys, policy, platform = self._plan.adopted_keys, self._plan.policy, self._judged
        if keys is not None:
            self._now.session = adopt_session(keys.tek, keys.tik, policy, platform)
            return {"keys": "made earlier", "policy": policy.policy.value}
        if platform is None:
            raise out_of_order("a session needs a platform")
        if self._plan.earlier_session is not None:
            return self._restore(self._plan.earlier_session)
        randomness = SessionRandomness.draw(self._world.random)
        session, material = create_session(platform, policy, randomness)
        self._now.session = session
        self._world.keeper.session_made(session, material)
        self._now.material = material
        return session_record(policy, material)

    def _restore(self, earlier: EarlierSession) -> Record:
        policy, platform = self._plan.policy, self._judged
        if platform is None:
            raise out_of_order("a session needs a platform")
        keys = earlier.load_keys(platform)
        try:
            self._now.session = restore_session(
                keys.tek, keys.tik, policy, platform, earlier.material.blob
            )
        finally:
            if self._now.session is None:
                keys.tek.wipe()
                keys.tik.wipe()
        self._now.material = earlier.material
        return {**session_record(policy, earlier.material), "restored": True}

    # -- measurement -------------------------------------------------------------

    async def _measurement(self) -> Record:
        session = self._now.session
        if session is None:
            raise out_of_order("a measurement needs a session")
        async with self._world.open_guest() as host:
            state = await host.state()
            reported = ReportedMeasurement.parse(await host.measurement())
        fault_point("measurement-read")
        version = FirmwareVersion(state.api_major, state.api_minor, state.build)
        policy = session.policy.policy
        # Nobody vouches for these words yet, but a host that says no may be believed.
        self._plan.requirements.check(version, policy.minimum_api)
        check_policy(state, policy.value)
        self._world.keeper.measured(reported, version)
        verified = await self._verify(session, reported, version)
        self._world.keeper.verified(verified)
        self._now.verified = verified
        return {
            "verdict": "matches",
            "measurement": reported.measurement.hex(),
            "nonce": reported.nonce.hex(),
            "launch_digest": verified.digest.hex(),
            "firmware": str(version),
            "api_major": version.api_major,
            "api_minor": version.api_minor,
            "build": version.build,
        }

    async def _verify(
        self, session: LaunchSession, reported: ReportedMeasurement, version: FirmwareVersion
    ) -> VerifiedMeasurement:
        plan = self._plan
        try:
            return verify_measurement(
                session,
                reported,
                version,
                [digest.value for digest in plan.digests],
                plan.requirements,
                seen_nonces=self._world.seen_nonces,
            )
        except VerificationRefused as refusal:
            if refusal.code != MISMATCH:
                raise
            # It may take most of a second, and others share this loop.
            await asyncio.to_thread(
                explain_mismatch, refusal, _questions(plan, session, reported, version)
            )
            raise self._world.keeper.mismatch(refusal, reported, version) from None

    # -- secret ------------------------------------------------------------------

    async def _secret(self) -> Record:
        verified = self._now.verified
        if verified is None:
            raise out_of_order("a secret needs a verified measurement")
        if not self._plan.secrets:
            return {"secrets": [], "injected": "nothing to inject"}
        if self._now.packet is None:
            self._plan.platform_rules.allow_secrets(verified.session.platform)
            await self._world.before_sealing(verified)
            fault_point("sealing-allowed")
        async with self._world.open_guest() as host:
            packet = self._now.packet
            if packet is None:
                await self._check_still_there(host, verified)
                packet = self._seal(verified)
            await inject(host, packet)
        fault_point("packet-sent")
        self._world.keeper.handed_over()
        return {
            "secrets": list(self._notes),
            "route": self._plan.route.value,
            "packet_sha256": packet_sha256(packet),
            "injected": "host says",
        }

    async def _check_still_there(self, host: Host, verified: VerifiedMeasurement) -> None:
        """The VM that was measured, perhaps long ago, is the one that is connected, and waits."""
        state = await host.state()
        check_policy(state, verified.session.policy.policy.value)
        check_takes_secrets(state.state)
        reported = ReportedMeasurement.parse(await host.measurement())
        if not hmac.compare_digest(reported.build(), verified.reported.build()):
            raise _measured_anew(verified.reported, reported)

    def _seal(self, verified: VerifiedMeasurement) -> SecretPacket:
        """Seal the one packet, and have it kept before anybody sees it."""
        self._plan.platform_rules.allow_secrets(verified.session.platform)
        prepared = prepare_secrets(self._plan.secrets, self._plan.route)
        iv = self._world.random(KEY_SIZE)
        try:
            packet = seal(verified, prepared.entries, iv, self._plan.secret_area)
        finally:
            for entry in prepared.entries:
                entry.data.wipe()
        fault_point("packet-sealed")
        self._world.keeper.sealed(packet, prepared.notes)
        self._now.packet, self._notes = packet, prepared.notes
        return packet

    def _sealed_packet(self) -> Packet | None:
        return self._now.packet

    def _digests(self) -> Sequence[bytes]:
        if self._now.verified is None:
            raise out_of_order("a guest runs only after it was measured")
        return (self._now.verified.digest,)


def _measured_anew(
    verified: ReportedMeasurement, reported: ReportedMeasurement
) -> VerificationRefused:
    return VerificationRefused(
        "another-vm",
        "This is not the VM that was verified",
        "Its measurement is not the one that was verified a moment ago: the VM was started anew,"
        " or it is another one.",
        "Nothing was sealed or sent. Take the launch up again: the VM is measured anew then.",
        {"verified": verified.build().hex(), "reported": reported.build().hex()},
    )


def _questions(
    plan: SevPlan,
    session: LaunchSession,
    reported: ReportedMeasurement,
    version: FirmwareVersion,
) -> list[Question]:
    policy, other = session.policy.policy.value, plan.other_firmware()
    return [
        Question(reported, version, policy, session.tik, contents, session.tek, other)
        for contents in plan.approved
    ]


def trust(launch: Launch) -> str | None:
    """What kind of platform a launch's record names: ``verified``, ``foreign-root``, …"""
    fact = launch.facts.get("platform")
    return None if fact is None else str(fact.record.get("platform"))


def is_waived(launch: Launch) -> bool:
    """Whether any settled step of the launch was waived."""
    return any(status.state is StepState.WAIVED for status in launch.statuses())
