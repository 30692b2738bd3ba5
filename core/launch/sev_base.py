# SPDX-License-Identifier: Apache-2.0
"""The steps that a SEV launch takes whether its packet is still to be sealed or sealed already."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from ..errors import WatchwordError
from ..hosts.locality import local_warnings
from ..hosts.protocol import Host
from ..sev.chain import PlatformCertificates
from ..sev.platform import Platform
from ..sev.policy import ApprovedPolicy
from ..sev.secret_packet import Packet
from ..sev.session import KEY_SIZE, LaunchMaterial
from .driver import Observer, Record, StepDriver, unobserved
from .engine import Launch, Step
from .fault_points import fault_point
from .sev_guest import confirm, let_run, start_guest, start_order
from .sev_plan import SevPlan, SevWorld
from .sev_platform import gather_certificates, judge_platform, platform_record


class SevSteps(StepDriver):
    """Guest, platform, start and run; what lies between is for the two kinds to say."""

    def __init__(
        self, launch: Launch, plan: SevPlan, world: SevWorld, observe: Observer = unobserved
    ) -> None:
        super().__init__(launch, observe)
        self._plan = plan
        self._world = world
        self._certificates: PlatformCertificates | None = None
        self._judged: Platform | None = None
        self._work = {
            "guest": self._guest,
            "platform": self._platform,
            "session": self._session,
            "start": self._start,
            "measurement": self._measurement,
            "secret": self._secret,
            "run": self._run,
        }

    @property
    def material(self) -> LaunchMaterial | None:
        """What the host was given to start the VM with."""
        raise NotImplementedError

    async def _session(self) -> Record:
        raise NotImplementedError

    async def _measurement(self) -> Record:
        raise NotImplementedError

    async def _secret(self) -> Record:
        raise NotImplementedError

    def _digests(self) -> Sequence[bytes]:
        """The launch digests (32 bytes each) of which the running guest must have one."""
        raise NotImplementedError

    def _sealed_packet(self) -> Packet | None:
        """The packet of this launch, None where nothing was sealed."""
        raise NotImplementedError

    def _ended(self, step: Step, error: WatchwordError) -> None:
        self._world.keeper.interrupted(step.id, error)

    async def _guest(self) -> Record:
        policy, firmware = self._plan.policy, self._plan.firmware
        waivers = _waivers(self._plan)
        self._waiver = _reason(waivers)
        return {
            "launch_digests": [digest.as_json() for digest in self._plan.digests],
            "policy": policy.policy.value,
            "policy_names": policy.policy.names(),
            "warnings": [
                *(finding.text for finding in policy.policy.findings()),
                *firmware.warnings,
                *self._plan.warnings,
            ],
            **({"waivers": waivers} if waivers else {}),
        }

    async def _platform(self) -> Record:
        cautions = local_warnings(
            str(self.launch.answers.get("host", "")), simulated=self.launch.simulated
        )
        where: Record = {"host_is_local": True} if cautions else {}
        recognised = await gather_certificates(self._plan, self._world)
        if recognised is None:
            told: Record = {"warnings": list(cautions)} if cautions else {}
            return {"platform": "not-checked-here", **where, **told}
        certificates = recognised.certificates
        self._world.keeper.gathered(certificates)
        platform = judge_platform(self._plan, self._world, certificates)
        more = self._plan.platform_rules.admit(platform)
        self._world.keeper.certificates(certificates, platform)
        self._certificates, self._judged = certificates, platform
        self._waiver = platform.waiver
        warnings = (*recognised.warnings, *cautions)
        record = platform_record(certificates, platform.report, platform.name, warnings)
        return {**record, **more, **where}

    async def _start(self) -> Record:
        material = self.material
        if material is None:
            raise out_of_order("a start needs a launch blob")
        await self._world.start(material)
        async with self._world.open_guest() as host:
            await start_guest(host, material, self._plan)
            fault_point("material-given")
            state = await host.state()
            warnings = await self._world.advise(host, start_order(material, self._plan))
        told: Record = {"warnings": list(warnings)} if warnings else {}
        return {"state": state.state.value, "paused": state.paused, "host": host.url, **told}

    async def _run(self) -> Record:
        async with self._world.open_guest() as host:
            await let_run(host)
            fault_point("guest-resumed")
            return await self._confirm(host)

    async def _confirm(self, host: Host) -> Record:
        pek = None if self._certificates is None else self._certificates.pek
        choose = self._world.report_nonce
        nonce = self._world.random(KEY_SIZE) if choose is None else choose(self._sealed_packet())
        confirmation, record = await confirm(
            host,
            nonce,
            pek,
            digests=self._digests(),
            policy=self._plan.policy.policy.value,
        )
        fault_point("report-verified")
        self._world.keeper.running(confirmation, record)
        return record


def _waivers(plan: SevPlan) -> dict[str, str]:
    """The typed reasons for what should run, by what was waived."""
    waived = {"policy": plan.policy.waiver, "firmware": plan.firmware.waiver}
    return {what: reason for what, reason in waived.items() if reason is not None}


def _reason(waivers: Mapping[str, str]) -> str | None:
    """The reasons in one text; a policy's stands for itself."""
    if "firmware" not in waivers:
        return waivers.get("policy")
    return "; ".join(f"{what}: {reason}" for what, reason in waivers.items())


def session_record(policy: ApprovedPolicy, material: LaunchMaterial) -> dict[str, object]:
    """What the session step tells, whenever the session was made."""
    return {
        "policy": policy.policy.value,
        "nonce": material.blob.nonce.hex(),
        "godh_sha256": hashlib.sha256(material.godh.build()).hexdigest(),
        "blob_sha256": hashlib.sha256(material.blob.build()).hexdigest(),
    }


def out_of_order(problem: str) -> WatchwordError:
    """A step was taken before the one that it builds on: a mistake of the program's."""
    return WatchwordError(
        "step-out-of-order", "A step came too early", f"{problem}.", "Report this as a bug."
    )
