# SPDX-License-Identifier: Apache-2.0
"""The steps of a SEV launch, from what should run to the running guest.

Verified things live only here, in memory, and each is made from the one before;
the ``Launch`` records what was seen, for people and files.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..errors import AnswerPending, BadInput, HostError, VerificationRefused, WatchwordError
from ..hosts.protocol import GuestState, Host
from ..sev.attestation_report import AttestationReport, verify_report
from ..sev.certificates import SevCertificate
from ..sev.chain import ChainReport, PlatformCertificates
from ..sev.chain_files import RecognisedChain, recognise
from ..sev.diagnosis_question import Question
from ..sev.firmware_version import FirmwareVersion
from ..sev.measurement import ReportedMeasurement, VerifiedMeasurement, verify_measurement
from ..sev.platform import Platform, judge_chain
from ..sev.secret_packet import SecretPacket, platform_not_proven, seal
from ..sev.session import (
    KEY_SIZE,
    LaunchMaterial,
    LaunchSession,
    SessionRandomness,
    adopt_session,
    create_session,
)
from .engine import Launch, Step, StepState
from .host_certificates import read_host_certificates
from .mismatch import MISMATCH, explain_mismatch
from .sev_plan import CertificateFile, SevPlan, SevWorld, prepare_secrets

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


_BAD_MEASUREMENT: Final = 11


@dataclass(slots=True)
class _Established:
    """What the steps have verified so far in this process."""

    certificates: PlatformCertificates | None = None
    platform: Platform | None = None
    session: LaunchSession | None = None
    material: LaunchMaterial | None = None
    verified: VerifiedMeasurement | None = None
    packet: SecretPacket | None = None


Record = Mapping[str, object]
Observer = Callable[[Launch], None]


def _unobserved(launch: Launch) -> None:
    del launch


class SevLaunch:
    """Drives a ``Launch`` through its steps, one after the other."""

    def __init__(
        self, launch: Launch, plan: SevPlan, world: SevWorld, observe: Observer = _unobserved
    ) -> None:
        self.launch = launch
        self._plan = plan
        self._world = world
        self._observe = observe
        self._now = _Established()
        self._waiver: str | None = None
        self._notes: tuple[dict[str, object], ...] = ()
        self._work: dict[str, Callable[[], Awaitable[Record]]] = {
            "guest": self._guest,
            "platform": self._platform,
            "session": self._session,
            "start": self._start,
            "measurement": self._measurement,
            "secret": self._secret,
            "run": self._run,
        }

    @property
    def packet(self) -> SecretPacket | None:
        """The one sealed packet of this launch, once there is one."""
        return self._now.packet

    @property
    def material(self) -> LaunchMaterial | None:
        """What the host was given to start the VM with."""
        return self._now.material

    async def run(self, until: str | None = None) -> Launch:
        """Take all steps, or those up to and including ``until``, in order.

        A step that fails is marked so in ``launch``, and its error raised; the
        session's keys are erased when the launch can't go on.
        """
        try:
            while (step := self.launch.next_step()) is not None:
                await self._take(step)
                if step.id == until:
                    break
        except WatchwordError as error:
            if not isinstance(error, AnswerPending):
                self.close()
            raise
        except asyncio.CancelledError:
            self.close()
            raise
        return self.launch

    def close(self) -> None:
        """Erase the session's keys; a launch that stopped half-way can't be taken further."""
        if self._now.session is not None:
            self._now.session.abandon()

    async def _take(self, step: Step) -> None:
        self._change(self.launch.begin(step.id))
        self._waiver = None
        try:
            record = await self._work[step.id]()
        except AnswerPending as pending:
            self._change(self.launch.wait(step.id, pending.as_json()))
            raise
        except WatchwordError as error:
            reason = {**error.as_json(), "exit_status": int(error.exit_status)}
            self._change(self.launch.fail(step.id, reason))
            raise
        except BaseException:
            self._change(self.launch.unmark(step.id))
            raise
        self._change(self.launch.establish(step.id, record, self._waiver))

    def _change(self, launch: Launch) -> None:
        self.launch = launch
        self._observe(launch)

    # -- guest -------------------------------------------------------------------

    async def _guest(self) -> Record:
        policy = self._plan.policy
        self._waiver = policy.waiver
        return {
            "launch_digests": [digest.as_json() for digest in self._plan.digests],
            "policy": policy.policy.value,
            "policy_names": policy.policy.names(),
            "warnings": [finding.text for finding in policy.policy.findings()],
        }

    # -- platform ----------------------------------------------------------------

    async def _platform(self) -> Record:
        recognised = await self._gather_certificates()
        if recognised is None:
            return {"platform": "not-checked-here"}
        certificates = recognised.certificates
        platform = judge_chain(
            certificates,
            self._world.roots,
            self._world.advisories,
            trusted_roots=self._plan.trusted_roots,
            oca_pin=self._plan.oca_pin,
            cek_pins=self._plan.cek_pins,
            waiver=self._plan.platform_waiver,
        )
        _check_secrets_allowed(platform, self._plan)
        self._now.certificates, self._now.platform = certificates, platform
        self._waiver = platform.waiver
        return _platform_record(certificates, platform.report, platform.name, recognised.warnings)

    async def _gather_certificates(self) -> RecognisedChain | None:
        """What the owner has, what the host says, and what others know of it."""
        files = list(self._plan.certificate_files)
        if not self._plan.ask_host:
            return recognise(files) if files else None
        async with self._world.open_platform() as host:
            answer = await host.platform()
        files += read_host_certificates(answer.pdh, answer.cert_chain)
        so_far = _recognise_with_host(files).certificates
        files += await self._more_certificates(answer.cpu_id, so_far)
        recognised = _recognise_with_host(files)
        if recognised.certificates.chip_id is None:
            certificates = replace(recognised.certificates, chip_id=answer.cpu_id)
            recognised = replace(recognised, certificates=certificates)
        return recognised

    async def _more_certificates(
        self, chip_id: bytes | None, so_far: PlatformCertificates
    ) -> Sequence[CertificateFile]:
        """What others know; a waived platform does not depend on their answer."""
        try:
            return await self._world.more_certificates(chip_id, so_far)
        except HostError:
            if self._plan.platform_waiver is not None:
                return ()
            raise

    # -- session -----------------------------------------------------------------

    async def _session(self) -> Record:
        keys, policy, platform = self._plan.adopted_keys, self._plan.policy, self._now.platform
        if keys is not None:
            self._now.session = adopt_session(keys.tek, keys.tik, policy, platform)
            return {"keys": "made earlier", "policy": policy.policy.value}
        if platform is None:
            raise _out_of_order("a session needs a platform")
        randomness = SessionRandomness.draw(self._world.random)
        session, material = create_session(platform, policy, randomness)
        self._now.session, self._now.material = session, material
        return {
            "policy": policy.policy.value,
            "nonce": randomness.nonce.hex(),
            "godh_sha256": hashlib.sha256(material.godh.build()).hexdigest(),
            "blob_sha256": hashlib.sha256(material.blob.build()).hexdigest(),
        }

    # -- start -------------------------------------------------------------------

    async def _start(self) -> Record:
        if self._now.material is None:
            raise _out_of_order("a start needs a launch blob")
        await self._world.start(self._now.material)
        async with self._world.open_guest() as host:
            state = await host.state()
        return {"state": state.state.value, "paused": state.paused, "host": host.url}

    # -- measurement -------------------------------------------------------------

    async def _measurement(self) -> Record:
        session = self._now.session
        if session is None:
            raise _out_of_order("a measurement needs a session")
        async with self._world.open_guest() as host:
            state = await host.state()
            reported = ReportedMeasurement.parse(await host.measurement())
        version = FirmwareVersion(state.api_major, state.api_minor, state.build)
        policy = session.policy.policy
        # Nobody vouches for these words yet, but a host that says no may be believed.
        self._plan.requirements.check(version, policy.minimum_api)
        _check_policy(state, policy.value)
        self._now.verified = await self._verify(session, reported, version)
        return {
            "verdict": "matches",
            "measurement": reported.measurement.hex(),
            "nonce": reported.nonce.hex(),
            "launch_digest": self._now.verified.digest.hex(),
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
            if refusal.code == MISMATCH:
                # It may take most of a second, and others share this loop.
                await asyncio.to_thread(
                    explain_mismatch, refusal, _questions(plan, session, reported, version)
                )
            raise

    # -- secret ------------------------------------------------------------------

    async def _secret(self) -> Record:
        verified = self._now.verified
        if verified is None:
            raise _out_of_order("a secret needs a verified measurement")
        if not self._plan.secrets:
            return {"secrets": [], "injected": "nothing to inject"}
        if self._now.packet is None:
            prepared = prepare_secrets(self._plan.secrets, self._plan.route)
            iv = self._world.random(KEY_SIZE)
            try:
                self._now.packet = seal(verified, prepared.entries, iv, self._plan.secret_area)
            finally:
                for entry in prepared.entries:
                    entry.data.wipe()
            self._notes = prepared.notes
        packet = self._now.packet
        async with self._world.open_guest() as host:
            await _inject(host, packet)
        return {
            "secrets": list(self._notes),
            "route": self._plan.route.value,
            "packet_sha256": hashlib.sha256(packet.header + packet.ciphertext).hexdigest(),
            "injected": "host says",
        }

    # -- run ---------------------------------------------------------------------

    async def _run(self) -> Record:
        async with self._world.open_guest() as host:
            await host.resume()
            state = await host.state()
            if not state.running:
                raise HostError(
                    "guest-not-running",
                    "The guest does not run",
                    "The host took the command to let it run, and says that it is paused.",
                    "Ask the host's operator why the VM stopped.",
                )
            return await self._confirm(host)

    async def _confirm(self, host: Host) -> Record:
        """Ask for a report signed by the platform's PEK, where the PEK is known.

        Without it there is the host's word that the guest runs. A report that
        doesn't verify is an alarm: after the launch the digest can only be the same.
        """
        platform, verified = self._now.platform, self._now.verified
        certificates = self._now.certificates
        if platform is None or verified is None or certificates is None or certificates.pek is None:
            return {"running": "host says"}
        nonce = self._world.random(KEY_SIZE)
        try:
            data = await host.attestation_report(nonce)
        except HostError as error:
            return {"running": "host says", "report": error.title}
        try:
            verify_report(
                AttestationReport.parse(data),
                SevCertificate.parse(certificates.pek, "PEK"),
                nonce,
                launch_digest=verified.digest,
                policy=verified.session.policy.policy.value,
            )
        except (BadInput, VerificationRefused) as error:
            raise _not_confirmed(error) from None
        return {
            "running": "confirmed by a report that the platform's PEK signed",
            "report": base64.b64encode(data).decode(),
            "report_nonce": nonce.hex(),
        }


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


def _not_confirmed(error: WatchwordError) -> VerificationRefused:
    """A false report after the packet was handed over: what is out can't be called back."""
    return VerificationRefused(
        "running-guest-not-confirmed",
        "The running guest's report does not verify, and the secret is already out",
        f"It was sealed for the VM that was measured and let run, but then: {error.message}",
        "Stop the VM, replace the secret, and do not trust this host.",
        {**error.details, "secret_sent": True},
    )


def _recognise_with_host(files: list[CertificateFile]) -> RecognisedChain:
    """Put files and the host's answers together; where they contradict, the host is refused."""
    try:
        return recognise(files)
    except BadInput as error:
        if error.code != "ambiguous-chain":
            raise
        raise VerificationRefused(
            "host-contradicts-files",
            "The host's certificates contradict the ones that are known",
            f"{error.field[:1].upper()}{error.field[1:]}: {error.message}",
            "If the platform was reset, get its certificates anew; otherwise send it nothing.",
        ) from None


def _platform_record(
    certificates: PlatformCertificates,
    report: ChainReport,
    name: str,
    warnings: tuple[str, ...],
) -> Record:
    given = {
        role.value: base64.b64encode(data).decode()
        for role, data in certificates.by_role().items()
        if data is not None
    }
    verdict = report.with_warnings(warnings).as_json()
    return {"platform": name, **verdict, "certificates": given}


async def _inject(host: Host, packet: SecretPacket) -> None:
    """Inject; a secure processor that finds a bad MAC has refused the VM, not the transport."""
    try:
        await host.inject(packet)
    except HostError as error:
        if error.details.get("fw_error") != _BAD_MEASUREMENT:
            raise
        raise VerificationRefused(
            "packet-refused",
            "The secure processor refused the packet (fw_error 11, bad measurement)",
            "The VM that it was offered to is not the one that was measured: the host may have"
            " started another one from the same launch blob.",
            "The secret stayed sealed. Abandon this launch, and do not trust this host.",
            dict(error.details),
        ) from None


def _check_secrets_allowed(platform: Platform, plan: SevPlan) -> None:
    """Say early that a real secret can't go there; sealing would refuse it anyway."""
    if not platform.proven and not all(order.test for order in plan.secrets):
        raise platform_not_proven(platform.name)


def _check_policy(state: GuestState, policy: int) -> None:
    """A host that names another policy has started the VM with it, or lies; no MAC can match."""
    if state.policy != policy:
        raise VerificationRefused(
            "policy-changed",
            "The VM runs under another policy",
            f"The host says 0x{state.policy:x}; this launch was made for 0x{policy:x}.",
            "Nothing was sent. Have the VM started with the policy of the launch blob.",
            {"policy": policy, "host_policy": state.policy},
        )


def _out_of_order(problem: str) -> WatchwordError:
    return WatchwordError(
        "step-out-of-order", "A step came too early", f"{problem}.", "Report this as a bug."
    )


def trust(launch: Launch) -> str | None:
    """What kind of platform a launch's record names: ``verified``, ``foreign-root``, …"""
    fact = launch.facts.get("platform")
    return None if fact is None else str(fact.record.get("platform"))


def is_waived(launch: Launch) -> bool:
    """Whether any settled step of the launch was waived."""
    return any(status.state is StepState.WAIVED for status in launch.statuses())
