# SPDX-License-Identifier: Apache-2.0
"""What the steps of a SEV launch do when something is wrong: nothing is read, sent or kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from watchword.core.amd.advisories import published_advisories
from watchword.core.amd.roots import amd_roots
from watchword.core.errors import BadInput, HostError, VerificationRefused
from watchword.core.hosts.protocol import Host, PlatformAnswer
from watchword.core.hosts.qmp import QmpHost
from watchword.core.hosts.urls import parse_host_url
from watchword.core.launch.engine import Launch, StepState
from watchword.core.launch.sev_plan import AdoptedKeys, SecretOrder, SevPlan, SevWorld
from watchword.core.launch.sev_steps import ATTEST_STEPS, LAUNCH_STEPS, SevLaunch
from watchword.core.launch.worlds import opener
from watchword.core.secret import Secret
from watchword.core.sev.certificates import AmdCertificate
from watchword.core.sev.digest import LaunchDigest, launch_digest
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.measurement import FirmwareRequirements
from watchword.core.sev.policy import approve_policy, parse_policy
from watchword.core.sev.secret_table import DISK_PASSPHRASE
from watchword.core.simulator import PlatformKeys, SimulatedHost, StartOrder, build_firmware

POLICY = approve_policy(parse_policy("nodbg,noks,nosend,sev,min-api=0.17"))
FIRMWARE = build_firmware()
DIGEST = launch_digest(FirmwareImage.from_bytes(FIRMWARE))


class Loads:
    """Counts how often a secret was asked for, and keeps what was given out."""

    def __init__(self) -> None:
        self.given: list[Secret] = []

    def __call__(self) -> Secret:
        self.given.append(Secret(b"correct horse battery staple"))
        return self.given[-1]


@pytest.fixture(scope="module")
def keys() -> PlatformKeys:
    return PlatformKeys.generate(2048)


@pytest.fixture
def loads() -> Loads:
    return Loads()


def make_plan(keys: PlatformKeys, loads: Loads, *, test: bool = True) -> SevPlan:
    order = SecretOrder("disk-passphrase", DISK_PASSPHRASE, loads, test)
    return SevPlan(
        digests=(DIGEST,),
        secret_area=0xC00,
        policy=POLICY,
        requirements=FirmwareRequirements((0, 17), 0, published_advisories()),
        secrets=(order,),
        certificate_files=(("export", keys.full_chain),),
        trusted_roots=(AmdCertificate.parse(keys.root.ark),),
    )


def answered(steps: tuple[object, ...] = LAUNCH_STEPS) -> Launch:
    launch = Launch("one", "sev", steps)  # type: ignore[arg-type]
    for name in ("contents", "policy", "certificates", "secrets"):
        launch = launch.answer(name, name)
    return launch


Act = Callable[[SevLaunch, SimulatedHost], Awaitable[None]]


def on_simulated_host(
    keys: PlatformKeys,
    plan: SevPlan,
    act: Act,
    *,
    firmware: bytes = FIRMWARE,
    steps: tuple[object, ...] = LAUNCH_STEPS,
) -> SevLaunch:
    """Run ``act`` with a launch whose world is an honest simulated host."""

    async def whole() -> SevLaunch:
        async with SimulatedHost(keys) as host:
            monitor = await host.open_monitor()
            servers = [monitor]

            async def start(material: object) -> None:
                order = StartOrder(
                    firmware=firmware,
                    policy=plan.policy.policy.value,
                    dh_cert=material.godh_base64.encode(),  # type: ignore[attr-defined]
                    session=material.session_base64.encode(),  # type: ignore[attr-defined]
                )
                servers.append(await host.start_vm(order))

            open_host = opener(lambda: QmpHost.connect(parse_host_url(servers[-1].url)))
            world = SevWorld(
                open_platform=open_host,
                open_guest=open_host,
                random=os.urandom,
                roots=amd_roots(),
                advisories=published_advisories(),
                start=start,
            )
            driver = SevLaunch(answered(steps), plan, world)
            await act(driver, host)
            return driver

    return asyncio.run(whole())


def session_keys(driver: SevLaunch) -> tuple[Secret, Secret]:
    session = driver._now.session
    assert session is not None
    return session.tek, session.tik


def test_a_refused_measurement_erases_the_keys_and_never_asks_for_the_secret(
    keys: PlatformKeys, loads: Loads
) -> None:
    async def act(driver: SevLaunch, host: SimulatedHost) -> None:
        with pytest.raises(VerificationRefused):
            await driver.run()
        assert host.processor.packets == ()

    other = bytearray(FIRMWARE)
    other[0] ^= 1
    driver = on_simulated_host(keys, make_plan(keys, loads), act, firmware=bytes(other))
    assert driver.launch.status("measurement").state is StepState.FAILED
    assert driver.launch.status("secret").state is StepState.BLOCKED
    assert loads.given == []
    assert all(key.wiped for key in session_keys(driver))


def test_stopping_after_the_verdict_sends_nothing_and_close_erases_the_keys(
    keys: PlatformKeys, loads: Loads
) -> None:
    async def act(driver: SevLaunch, host: SimulatedHost) -> None:
        await driver.run(until="measurement")
        assert host.processor.packets == ()
        assert not any(key.wiped for key in session_keys(driver))
        driver.close()

    driver = on_simulated_host(keys, make_plan(keys, loads), act)
    assert driver.launch.status("measurement").state is StepState.DONE
    assert driver.launch.status("secret").state is StepState.READY
    assert loads.given == []
    assert all(key.wiped for key in session_keys(driver))


def test_running_up_to_a_step_that_was_taken_takes_no_further_one(
    keys: PlatformKeys, loads: Loads
) -> None:
    async def act(driver: SevLaunch, host: SimulatedHost) -> None:
        for until in ("measurement", "measurement", "platform"):
            await driver.run(until=until)
        assert host.processor.packets == ()

    driver = on_simulated_host(keys, make_plan(keys, loads), act)
    assert driver.launch.status("secret").state is StepState.READY
    assert loads.given == []


def test_a_completed_launch_has_wiped_the_secret_and_the_keys(
    keys: PlatformKeys, loads: Loads
) -> None:
    async def act(driver: SevLaunch, host: SimulatedHost) -> None:
        await driver.run()
        assert len(host.processor.packets) == 1

    driver = on_simulated_host(keys, make_plan(keys, loads), act)
    assert driver.launch.complete
    assert len(loads.given) == 1
    assert all(secret.wiped for secret in (*loads.given, *session_keys(driver)))


def test_a_real_secret_for_a_foreign_root_is_refused_before_any_vm_is_started(
    keys: PlatformKeys, loads: Loads
) -> None:
    async def act(driver: SevLaunch, host: SimulatedHost) -> None:
        with pytest.raises(VerificationRefused) as refusal:
            await driver.run()
        assert refusal.value.code == "platform-not-proven"
        assert driver.material is None

    on_simulated_host(keys, make_plan(keys, loads, test=False), act)
    assert loads.given == []


def test_a_waived_platform_is_waived_in_the_record_and_takes_test_secrets_only(
    keys: PlatformKeys, loads: Loads
) -> None:
    plan = replace(make_plan(keys, loads), trusted_roots=(), platform_waiver="lab machine")

    async def act(driver: SevLaunch, host: SimulatedHost) -> None:
        await driver.run()

    driver = on_simulated_host(keys, plan, act)
    assert driver.launch.waivers == {"platform": "lab machine"}
    assert driver.launch.status("platform").state is StepState.WAIVED

    async def refused(driver: SevLaunch, host: SimulatedHost) -> None:
        with pytest.raises(VerificationRefused, match="real secret"):
            await driver.run()

    real = make_plan(keys, loads, test=False)
    on_simulated_host(keys, replace(real, trusted_roots=(), platform_waiver="lab"), refused)


def test_cancelling_erases_the_keys_and_leaves_the_step_to_be_done(
    keys: PlatformKeys, loads: Loads
) -> None:
    async def act(driver: SevLaunch, host: SimulatedHost) -> None:
        await driver.run(until="session")
        busy = asyncio.Event()

        async def never_started() -> None:
            busy.set()
            await asyncio.Event().wait()

        driver._work["start"] = never_started  # type: ignore[assignment]
        task = asyncio.create_task(driver.run())
        await busy.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    driver = on_simulated_host(keys, make_plan(keys, loads), act)
    assert driver.launch.status("start").state is StepState.READY
    assert all(key.wiped for key in session_keys(driver))


def test_keys_made_elsewhere_need_no_platform_and_say_so(keys: PlatformKeys, loads: Loads) -> None:
    plan = replace(
        make_plan(keys, loads, test=False),
        ask_host=False,
        certificate_files=(),
        adopted_keys=AdoptedKeys(Secret(bytes(16)), Secret(bytes(16))),
    )

    async def act(driver: SevLaunch, host: SimulatedHost) -> None:
        await driver.run(until="session")

    driver = on_simulated_host(keys, plan, act, steps=ATTEST_STEPS)
    assert driver.launch.facts["platform"].record == {"platform": "not-checked-here"}


class ScriptedHost:
    """A host that answers one question about its platform."""

    def __init__(self, answer: PlatformAnswer) -> None:
        self._answer = answer
        self.closed = False

    async def platform(self) -> PlatformAnswer:
        return self._answer

    async def close(self) -> None:
        self.closed = True


def ask_platform(answer: PlatformAnswer, plan: SevPlan) -> ScriptedHost:
    host = ScriptedHost(answer)

    async def connect() -> Host:
        return host  # type: ignore[return-value]

    world = SevWorld(
        open_platform=opener(connect),
        open_guest=opener(connect),
        random=os.urandom,
        roots=amd_roots(),
        advisories=published_advisories(),
    )
    try:
        asyncio.run(SevLaunch(answered(), plan, world).run(until="platform"))
    finally:
        assert host.closed
    return host


@pytest.mark.parametrize("rubbish", [b"", b"x" * 17, b"{" * 100, bytes(2084)])
def test_certificates_that_cannot_be_read_are_the_hosts_fault(
    keys: PlatformKeys, loads: Loads, rubbish: bytes
) -> None:
    answer = PlatformAnswer(keys.pdh, rubbish, None, 51, 1)
    with pytest.raises(HostError) as fault:
        ask_platform(answer, make_plan(keys, loads))
    assert fault.value.code == "bad-certificates-from-host"


def test_a_host_that_shows_another_pdh_than_the_owners_file_is_refused(
    keys: PlatformKeys, loads: Loads
) -> None:
    answer = PlatformAnswer(keys.with_new_pdh().pdh, keys.pek_oca_cek, None, 51, 1)
    with pytest.raises(VerificationRefused) as refusal:
        ask_platform(answer, make_plan(keys, loads))
    assert refusal.value.code == "host-contradicts-files"


def test_a_file_of_the_owners_that_cannot_be_read_is_not_blamed_on_the_host(
    keys: PlatformKeys, loads: Loads
) -> None:
    answer = PlatformAnswer(keys.pdh, keys.pek_oca_cek, None, 51, 1)
    plan = replace(make_plan(keys, loads), certificate_files=(("mine", b"x" * 17),))
    with pytest.raises(BadInput):
        ask_platform(answer, plan)


def test_several_approved_digests_are_allowed_and_the_verdict_names_the_one_that_matched(
    keys: PlatformKeys, loads: Loads
) -> None:
    other = LaunchDigest(bytes(32), ())
    plan = replace(make_plan(keys, loads), digests=(other, DIGEST))

    async def act(driver: SevLaunch, host: SimulatedHost) -> None:
        await driver.run(until="measurement")

    driver = on_simulated_host(keys, plan, act)
    assert driver.launch.facts["measurement"].record["launch_digest"] == DIGEST.value.hex()


def test_each_packet_has_a_fresh_iv(keys: PlatformKeys) -> None:
    ivs = []

    async def act(driver: SevLaunch, host: SimulatedHost) -> None:
        await driver.run(until="secret")
        assert driver.packet is not None
        ivs.append(driver.packet.header[4:20])

    for _ in range(2):
        on_simulated_host(keys, make_plan(keys, Loads()), act)
    assert ivs[0] != ivs[1]
    assert bytes(16) not in ivs


def test_secrets_must_fit_into_the_firmwares_own_area(keys: PlatformKeys, loads: Loads) -> None:
    async def act(driver: SevLaunch, host: SimulatedHost) -> None:
        with pytest.raises(BadInput) as refusal:
            await driver.run()
        assert refusal.value.code == "bad-secrets"
        assert host.processor.packets == ()

    on_simulated_host(keys, replace(make_plan(keys, loads), secret_area=48), act)
    assert all(secret.wiped for secret in loads.given)


def test_a_nonce_of_an_earlier_launch_is_refused(keys: PlatformKeys, loads: Loads) -> None:
    async def act(driver: SevLaunch, host: SimulatedHost) -> None:
        await driver.run(until="start")
        async with driver._world.open_guest() as guest:
            nonce = (await guest.measurement())[32:]
        driver._world = replace(driver._world, seen_nonces=(nonce,))
        with pytest.raises(VerificationRefused) as refusal:
            await driver.run()
        assert refusal.value.code == "measurement-replayed"

    on_simulated_host(keys, make_plan(keys, loads), act)
    assert loads.given == []


class OtherVm:
    """A host that lets the VM run, and answers for another one from then on."""

    def __init__(self, report: Callable[[bytes], Awaitable[bytes]], *, running: bool) -> None:
        self.attestation_report = report
        self._running = running
        self.url = "qmp+unix:///other"

    async def resume(self) -> None:
        """Say nothing against it."""

    async def state(self) -> object:
        return type("State", (), {"running": self._running})()

    async def close(self) -> None:
        """Nothing is open."""


def test_a_report_about_another_vm_of_the_platform_confirms_nothing(
    keys: PlatformKeys, loads: Loads
) -> None:
    async def act(driver: SevLaunch, host: SimulatedHost) -> None:
        await driver.run(until="secret")
        other = await start_another(driver, host)

        async def report(nonce: bytes) -> bytes:
            return await other.attestation_report(nonce)

        async def connect() -> Host:
            return OtherVm(report, running=True)  # type: ignore[return-value]

        driver._world = replace(driver._world, open_guest=opener(connect))
        with pytest.raises(VerificationRefused) as refusal:
            await driver.run()
        await other.close()
        assert refusal.value.code == "running-guest-not-confirmed"
        assert "already out" in refusal.value.title

    on_simulated_host(keys, make_plan(keys, loads), act)


async def start_another(driver: SevLaunch, host: SimulatedHost) -> QmpHost:
    """A VM with other firmware from the same launch blob, running."""
    material = driver.material
    assert material is not None
    order = StartOrder(
        firmware=FIRMWARE[:100] + b"\xff" + FIRMWARE[101:],
        policy=POLICY.policy.value,
        dh_cert=material.godh_base64.encode(),
        session=material.session_base64.encode(),
    )
    other = await QmpHost.connect(parse_host_url((await host.start_vm(order)).url))
    await other.resume()
    return other


def test_a_host_whose_guest_stays_paused_is_not_believed(keys: PlatformKeys, loads: Loads) -> None:
    async def act(driver: SevLaunch, host: SimulatedHost) -> None:
        await driver.run(until="secret")

        async def connect() -> Host:
            return OtherVm(lambda nonce: asyncio.sleep(0, b""), running=False)  # type: ignore[return-value]

        driver._world = replace(driver._world, open_guest=opener(connect))
        with pytest.raises(HostError) as fault:
            await driver.run()
        assert fault.value.code == "guest-not-running"

    on_simulated_host(keys, make_plan(keys, loads), act)
