# SPDX-License-Identifier: Apache-2.0
"""A launch carried by hand, from the certificates to the running guest, in every form it takes."""

from __future__ import annotations

import asyncio
import shutil
import stat
import subprocess

import pytest

from watchword.core.errors import AnswerPending, ExitStatus, HostError, UsageError
from watchword.core.hosts.exchange import ExchangeHost
from watchword.core.hosts.exchange_instructions import MAKE_INJECT
from watchword.core.hosts.exchange_secret import report_nonce
from watchword.core.hosts.exchange_turns import Turn
from watchword.core.hosts.protocol import GuestStarter, SevState, StartOrder
from watchword.core.hosts.urls import ExchangeAddress
from watchword.core.simulator import PlatformKeys

from .exchange_people import LAUNCH, POLICY, SECRET, b64, node_info, people


@pytest.fixture(scope="module")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "vm1"


async def pending(call):
    with pytest.raises(AnswerPending) as caught:
        await call
    assert caught.value.exit_status == ExitStatus.WAITING
    return caught.value


async def until_started(owner, operator):
    """Turns 1 and 2, and the operator's VM."""
    asked = await pending(owner.check_platform())
    assert asked.details["turn"] == 1
    operator.file("1", "capabilities.txt").write_text(await operator.capabilities())
    await owner.check_platform()
    await owner.start()
    await operator.start_vm()


def test_a_launch_with_qemu_alone(keys, folder):
    async def main():
        async with people(keys, folder) as (owner, operator):
            await until_started(owner, operator)
            waiting = await pending(owner.verify())
            assert waiting.code == "waiting-for-measurement"
            assert waiting.details["path"] == str(folder / "3-measurement-from-host")
            assert waiting.details["carry"] == str(folder)
            assert waiting.details["instructions"] == str(folder / "2-start-to-host/README.txt")
            operator.file("3", "qmp.txt").write_text(await operator.send("2", "ask.qmp"))
            await owner.verify()
            assert await owner.host.vcpu_count() == 1
            await owner.hand_over()
            assert not operator.guest_has_the_secret
            waiting = await pending(owner.host.resume())
            assert waiting.code == "handed-over-not-confirmed"
            assert waiting.details["turn"] == 5
            assert (await owner.host.state()).paused

            assert '"error"' not in await operator.send("4", "inject.qmp")
            assert operator.guest_has_the_secret
            operator.file("5", "qmp.txt").write_text(await operator.send("4", "run.qmp"))
            await owner.host.resume()
            state = await owner.host.state()
            assert (state.state, state.running) == (SevState.RUNNING, True)
            await owner.check_report()
            assert len(operator.simulated.processor.packets) == 1

    asyncio.run(main())


def test_a_launch_with_virsh(keys, folder):
    async def main():
        async with people(keys, folder) as (owner, operator):
            await pending(owner.check_platform())
            answer = node_info(await operator.capabilities())
            operator.file("1", "nodesevinfo.txt").write_text(answer)
            await owner.check_platform()
            await owner.start()
            await operator.start_vm()
            info = await operator.launch_info()
            operator.file("3", "domlaunchsecinfo.txt").write_text(info)
            await owner.verify()
            await owner.hand_over()
            await operator.set_launch_state()
            await operator.ask("cont")
            await pending(owner.host.resume())
            form = operator.file("5", "answer.txt")
            form.write_text(form.read_text().replace("running:", "running: yes"))
            await owner.host.resume()
            assert operator.guest_has_the_secret

    asyncio.run(main())


def test_a_launch_by_mail_where_each_text_is_pasted(keys, folder):
    async def main():
        async with people(keys, folder) as (owner, operator):
            request = owner.host.outgoing_text(1)
            assert "query-sev-capabilities" in request
            understood = owner.host.accept_pasted(1, quoted(await operator.capabilities()))
            assert understood.complete
            assert dict(understood.found).keys() >= {"PDH", "PEK", "OCA", "CEK", "cbitpos"}
            await owner.check_platform()
            await owner.start()
            assert owner.host.awaited_turn() is Turn.MEASUREMENT

            saved_by_hand(owner.host.outgoing_text(2), folder / "2-start-to-host")
            await operator.start_vm()
            measured = await operator.ask("query-sev-launch-measure")
            understood = owner.host.accept_pasted(3, str(measured).replace("'", '"'))
            assert understood.missing
            sev = await operator.ask("query-sev")
            form = f"launch: {LAUNCH}\napi-major: {sev['api-major']}\napi-minor: "
            form += f"{sev['api-minor']}\nbuild: {sev['build-id']}\npolicy: 0x{sev['policy']:x}\n"
            understood = owner.host.accept_pasted(3, form)
            assert understood.complete
            assert understood.as_json()["missing"] == []
            await owner.verify()
            await owner.hand_over()
            assert owner.host.awaited_turn() is Turn.RUNNING

            saved_by_hand(owner.host.outgoing_text(4), folder / "4-secret-to-host")
            made_in_the_shell(folder / "4-secret-to-host")
            assert '"error"' not in await operator.send("4", "inject.qmp")
            assert owner.host.accept_pasted(5, await operator.send("4", "run.qmp")).complete
            await owner.host.resume()
            await owner.check_report()
            assert owner.host.awaited_turn() is None
            assert operator.guest_has_the_secret

    asyncio.run(main())


def quoted(text):
    """As a mail program hands it on."""
    block = f"-----BEGIN WATCHWORD ANSWER 1 OF LAUNCH {LAUNCH}-----\n{text}"
    block += "-----END WATCHWORD ANSWER 1-----\n"
    lines = "".join(f"> {line}\r\n" for line in block.splitlines())
    return f"Hello,\r\nhere it is:\r\n\r\n{lines}\r\nRegards: the operator\r\n"


def made_in_the_shell(folder):
    (folder / "inject.qmp").unlink()
    subprocess.run(["/bin/sh", "-ec", MAKE_INJECT], cwd=folder, check=True, timeout=30)


def saved_by_hand(text, folder):
    """Cut a mailed turn into its files again, over those that are in the folder."""
    before, _, rest = text.partition("\n===== ")
    assert "-----BEGIN WATCHWORD TURN" in before
    names = set()
    for part in f"{rest}".split("\n===== "):
        name, _, content = part.partition(" =====\n")
        content = content.partition("\nsha256: ")[0]
        assert max(map(len, content.splitlines())) < 998
        (folder / name).write_text(content)
        names.add(name)
    assert {name for name in names if name.endswith(".b64")}


def test_a_secret_is_in_no_file_of_the_folder(keys, folder):
    async def main():
        async with people(keys, folder) as (owner, operator):
            await until_started(owner, operator)
            operator.file("3", "qmp.txt").write_text(await operator.send("2", "ask.qmp"))
            await owner.verify()
            with owner.session.tik.reveal() as tik, owner.session.tek.reveal() as tek:
                secrets = [SECRET, bytes(tik), bytes(tek)]
            await owner.hand_over()
            forms = [form for s in secrets for form in (s, s.hex().encode(), b64(s).encode())]
            contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
            assert len(contents) > 15
            assert not [form for form in forms for content in contents if form in content]

    asyncio.run(main())


def test_each_turn_can_be_written_again_and_another_launch_blob_cannot(keys, folder):
    async def main():
        async with people(keys, folder) as (owner, operator):
            await until_started(owner, operator)
            await owner.start()
            operator.file("3", "qmp.txt").write_text(await operator.send("2", "ask.qmp"))
            await owner.verify()
            await owner.hand_over()
            before = contents_of(folder)
            await owner.hand_over()
            assert contents_of(folder) == before
            await owner.check_platform()  # makes another GODH and launch blob
            with pytest.raises(HostError) as caught:
                await owner.start()
            assert caught.value.code == "exchange-turn-differs"
            assert contents_of(folder) == before

    asyncio.run(main())


def contents_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Packet:
    """What a sealed packet looks like to a host."""

    def __init__(self, last=0):
        self.header = bytes(51) + bytes([last])
        self.ciphertext = bytes(range(64))


@pytest.fixture
def host(folder):
    return ExchangeHost(ExchangeAddress(str(folder)), LAUNCH)


MEASURED = f"""\
launch: {LAUNCH}
measurement: {b64(bytes(range(48)))}
api-major: 1
api-minor: 55
build: 21
policy: 0x1100002b
"""


def call(coroutine):
    return asyncio.run(coroutine)


def test_another_packet_is_refused_and_the_first_one_stays(host, folder):
    host.accept_pasted(3, MEASURED)
    call(host.inject(Packet()))
    before = contents_of(folder)
    with pytest.raises(HostError) as caught:
        call(host.inject(Packet(last=1)))
    assert caught.value.code == "exchange-turn-differs"
    assert contents_of(folder) == before


def test_no_packet_goes_to_a_guest_that_runs_already(host, folder):
    host.accept_pasted(3, MEASURED + '{"return": {"enabled": true, "state": "running"}}')
    with pytest.raises(HostError) as caught:
        call(host.inject(Packet()))
    assert caught.value.code == "guest-state-forbids"
    assert not (folder / "4-secret-to-host").exists()


def test_a_packet_waits_for_the_measurement(host, folder):
    folder.mkdir()
    assert call(pending(host.inject(Packet()))).code == "waiting-for-measurement"
    assert list(folder.iterdir()) == []


def test_a_launch_without_secrets_only_lets_the_guest_run(host, folder):
    host.accept_pasted(3, MEASURED)
    with pytest.raises(AnswerPending):
        call(host.resume())
    turn = folder / "4-secret-to-host"
    assert not (turn / "secret.b64").exists()
    assert "sev-inject" not in (turn / "run.qmp").read_text()
    with pytest.raises(HostError) as caught:  # too late: the guest was let run
        call(host.inject(Packet()))
    assert caught.value.code == "exchange-turn-differs"
    host.accept_pasted(5, f"launch: {LAUNCH}\nrunning: yes\n")
    call(host.resume())
    assert call(host.state()).running


def test_the_word_that_it_runs_counts_only_after_the_packet_went_out(host, folder):
    host.accept_pasted(3, MEASURED)
    host.accept_pasted(5, f"launch: {LAUNCH}\nrunning: yes\n")
    assert call(host.state()).paused
    call(host.inject(Packet()))
    assert call(host.state()).running


def test_an_error_of_the_secure_processor_comes_back_with_its_number(host, folder):
    host.accept_pasted(3, MEASURED)
    call(host.inject(Packet()))
    refused = (
        '{"return": {}}\n{"id": "1", "error": {"class": "GenericError", "desc": "SEV: failed to'
        " inject secret ret=-5 fw_error=11 'Bad measurement'\"}}\n"
    )
    (folder / "5-running-from-host" / "qmp.txt").write_text(refused)
    with pytest.raises(HostError) as caught:
        call(host.resume())
    assert caught.value.code == "injection-refused"
    assert caught.value.details["fw_error"] == 11


def test_virshs_error_is_understood_too(host, folder):
    host.accept_pasted(3, MEASURED)
    call(host.inject(Packet()))
    words = (
        "error: Unable to set launch security state\nerror: internal error: unable to execute"
        " QEMU command 'sev-inject-launch-secret': SEV: failed to inject secret ret=-5"
        " fw_error=22 'Invalid parameter'\n"
    )
    (folder / "5-running-from-host" / "out.txt").write_text(words)
    with pytest.raises(HostError) as caught:
        call(host.resume())
    assert caught.value.details["fw_error"] == 22


def test_a_guest_that_stands_still_is_waited_for(host, folder):
    host.accept_pasted(3, MEASURED)
    call(host.inject(Packet()))
    (folder / "5-running-from-host" / "sev.txt").write_text(
        '{"return": {"enabled": true, "state": "launch-secret"}}'
    )
    waiting = call(pending(host.resume()))
    assert waiting.code == "handed-over-not-confirmed"
    assert "launch-secret" in waiting.message
    with pytest.raises(AnswerPending):
        host.accept_pasted(5, f"launch: {LAUNCH}\nrunning: no\n")


def test_a_report_for_another_nonce_is_none(host, folder):
    host.accept_pasted(3, MEASURED)
    call(host.inject(Packet()))
    nonce = report_nonce(LAUNCH, Packet())
    with pytest.raises(HostError) as caught:
        call(host.attestation_report(nonce))
    assert caught.value.code == "report-not-brought"
    host.accept_pasted(5, f'{{"return": {{"data": "{b64(bytes(208))}"}}}}')
    with pytest.raises(HostError) as caught:
        call(host.attestation_report(nonce))
    assert caught.value.code == "report-for-another-nonce"
    with pytest.raises(UsageError):
        call(host.attestation_report(bytes(15)))


def test_each_packet_has_a_nonce_of_its_own():
    packets = (Packet(), Packet(last=1))
    nonces = {report_nonce(name, packet) for name in ("one", "two") for packet in packets}
    assert len(nonces) == 4
    assert {len(nonce) for nonce in nonces} == {16}


def test_the_number_of_vcpus_is_asked_for_where_nobody_said_it(host):
    host.accept_pasted(3, MEASURED)
    assert "query-cpus-fast" in call(pending(host.vcpu_count())).message
    host.accept_pasted(3, '{"return": [{"cpu-index": 0}, {"cpu-index": 1}]}')
    assert call(host.vcpu_count()) == 2


def test_nobody_stops_a_guest_by_hand_at_once(host):
    with pytest.raises(HostError) as caught:
        call(host.stop())
    assert caught.value.code == "exchange-cannot-stop"


def test_it_is_a_host_that_can_start_and_closes_without_a_word(host, folder):
    assert isinstance(host, GuestStarter)
    assert host.url == f"exchange://{folder}"

    async def main():
        async with host:
            await host.close()

    call(main())
    assert not folder.exists()


def test_what_is_missing_of_the_measurement_is_named(host, folder):
    host.accept_pasted(3, f'{{"return": {{"data": "{b64(bytes(48))}"}}}}')
    (folder / "3-measurement-from-host" / "notes.txt").write_text("Started at three o'clock.\n")
    waiting = call(pending(host.state()))
    assert waiting.details["missing"] == [
        "API version, build and policy (query-sev, or virsh domlaunchsecinfo)"
    ]
    assert waiting.details["passed_over"] == ["notes.txt"]
    assert "notes.txt" in waiting.message


def test_a_folder_that_hangs_is_given_up(host, monkeypatch):
    import threading

    released = threading.Event()
    monkeypatch.setattr(host._folder, "read", lambda turn: released.wait(5))
    monkeypatch.setattr(host, "_seconds", 0.05)
    with pytest.raises(HostError) as caught:
        call(host.measurement())
    released.set()
    assert caught.value.code == "exchange-too-slow"


def test_a_stick_that_is_not_in_is_not_made_up(tmp_path):
    host = ExchangeHost(ExchangeAddress(str(tmp_path / "usb" / "vm1")), LAUNCH)
    with pytest.raises(HostError) as caught:
        call(host.platform())
    assert caught.value.code == "exchange-folder-missing"
    assert not (tmp_path / "usb").exists()


def test_a_folder_that_went_away_is_named(host, folder):
    host.accept_pasted(3, MEASURED)
    shutil.rmtree(folder)
    with pytest.raises(HostError) as caught:
        call(host.measurement())
    assert caught.value.code == "exchange-folder-missing"


def test_policy_and_version_are_those_of_the_measurement(host):
    host.accept_pasted(3, MEASURED)
    state = call(host.state())
    assert (state.api_major, state.api_minor, state.build) == (1, 55, 21)
    assert state.policy == POLICY.policy.value
    assert state.state is SevState.LAUNCH_SECRET
    assert call(host.measurement()) == bytes(range(48))


def test_a_turn_is_completed_after_a_crash_and_texts_are_brought_up_to_date(host, folder):
    order = StartOrder(bytes(2084), bytes(128), 5)
    call(host.start(order))
    whole = contents_of(folder)
    turn = folder / "2-start-to-host"
    (turn / "SHA256SUMS").unlink()
    (turn / "session.b64").unlink()
    (turn / "README.txt").write_text("an older text")
    (turn / "remark").write_text("somebody else's")
    call(host.start(order))
    assert contents_of(folder) == whole | {turn / "remark": b"somebody else's"}


def test_a_start_does_not_need_certificates_that_can_be_read(host, folder):
    (folder / "1-platform-from-host").mkdir(parents=True)
    (folder / "1-platform-from-host" / "x").write_text("?")
    call(host.start(StartOrder(bytes(2084), bytes(128), 5)))
    assert b"CBITPOS" in (folder / "2-start-to-host" / "qemu-options.txt").read_bytes()


@pytest.mark.parametrize("name", ["godh.b64", "launch_blob.bin", "policy.txt"])
def test_what_a_launch_never_changes_is_not_replaced(host, folder, name):
    order = StartOrder(bytes(2084), bytes(128), 5)
    call(host.start(order))
    path = folder / "2-start-to-host" / name
    path.write_bytes(b"damaged")
    before = contents_of(folder)
    with pytest.raises(HostError) as caught:
        call(host.start(order))
    assert caught.value.code == "exchange-turn-differs"
    assert caught.value.details["path"] == str(path)
    assert contents_of(folder) == before
    path.unlink()
    call(host.start(order))


def test_a_form_that_was_filled_in_is_left_alone(host, folder):
    order = StartOrder(bytes(2084), bytes(128), 5)
    call(host.start(order))
    form = folder / "3-measurement-from-host" / "answer.txt"
    form.write_text(MEASURED)
    call(host.start(order))
    assert form.read_text() == MEASURED
    assert call(host.measurement()) == bytes(range(48))


@pytest.mark.parametrize("place", ["LAUNCH", "2-start-to-host/LAUNCH"])
def test_a_folder_of_another_launch_is_not_written_to(host, folder, place):
    (folder / place).parent.mkdir(parents=True)
    (folder / place).write_text("launch: another-one\n")
    before = contents_of(folder)
    with pytest.raises(UsageError) as caught:
        call(host.start(StartOrder(bytes(2084), bytes(128), 5)))
    assert caught.value.code == "exchange-folder-taken"
    assert "another-one" in caught.value.message
    assert contents_of(folder).keys() - before.keys() <= {folder / "LAUNCH"}


def test_files_and_folders_are_for_their_owner_alone(host, folder):
    call(host.start(StartOrder(bytes(2084), bytes(128), 5)))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
    assert modes == {0o600}
    folders = [folder, *(path for path in folder.iterdir() if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_a_folder_that_can_not_be_written_is_a_clear_error(host, folder, monkeypatch):
    def full(path, *more, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("watchword.core.files.os.fsync", full)
    with pytest.raises(HostError) as caught:
        call(host.start(StartOrder(bytes(2084), bytes(128), 5)))
    assert caught.value.code == "exchange-not-written"
    assert "full" in caught.value.message
