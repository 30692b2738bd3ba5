# SPDX-License-Identifier: Apache-2.0
"""``watchword launch`` with a host that is reached by hand: four turns, by folder and by text."""

from __future__ import annotations

import hashlib

import pytest

from ..hosts.exchange_people import node_info
from .batch_support import cek_fingerprint
from .launch_support import OperatorThread, commands_in, waits


@pytest.fixture
def operator(launches, keys, firmware):
    with OperatorThread(keys, launches.folder / "usb", firmware) as operator:
        (launches.folder / "usb").mkdir()
        yield operator


@pytest.fixture
def begun(launches):
    """A launch that waits for the platform's files: its id."""
    url = f"exchange://{launches.folder}/usb"
    shown = launches("prepare", "web", "--host", url, "--cek", launches.chain)
    assert (shown.status, shown.code) == (9, "waiting-for-platform"), shown.out
    return shown.json["launch_id"]


def test_four_turns_by_folder(launches, operator, begun):
    operator.put("1", operator.do(operator.person.capabilities()))
    waits(launches("resume", begun), 3)
    operator.start_vm()
    operator.put("3", operator.do(operator.person.send("2", "ask.qmp")))
    sent = launches("resume", begun)
    waits(sent, 5)
    assert sent.code == "handed-over-not-confirmed"
    assert sent.json["state"] == "handed-over"
    assert launches("list").json["launches"][0]["waits_for"]
    assert not operator.has_the_secret
    operator.do(operator.person.send("4", "inject.qmp"))
    waits(launches("complete", begun), 5)  # nobody said that it runs
    operator.put("5", operator.do(operator.person.send("4", "run.qmp")))
    done = launches("complete", begun)
    assert (done.status, done.json["state"]) == (0, "running")
    assert operator.has_the_secret
    assert launches.ledger(begun).count("packet-sealed") == 1
    assert launches.keys() == []


def test_the_operator_is_told_which_file_and_not_where_its_owner_keeps_it(
    launches, operator, begun, firmware
):
    operator.put("1", operator.do(operator.person.capabilities()))
    waits(launches("resume", begun), 3)
    (told,) = (launches.folder / "usb").glob("2-*/README.txt")
    sha256 = hashlib.sha256(firmware.read_bytes()).hexdigest()
    assert f"firmware {firmware.name} (SHA-256 {sha256[:16]}...)" in told.read_text()
    files = [path for path in (launches.folder / "usb").rglob("*") if path.is_file()]
    assert [path for path in files if str(firmware.parent).encode() in path.read_bytes()] == []


def test_four_turns_by_text(launches, operator, begun, tmp_path):
    mail = tmp_path / "mail.txt"

    def paste(text, *words):
        mail.write_text(f"Hello,\n\nhere it is:\n\n{text}\nGreetings\n")
        return launches("resume", begun, "--paste", mail, *words)

    def read(turn):
        shown = launches("show", begun, "--turn", turn)
        assert shown.status == 0, shown.out
        return shown.json["text"]

    assert begun in read(1)
    waits(paste(node_info(operator.do(operator.person.capabilities()))), 3)
    assert operator.person.file("2", "godh.b64").read_text()[:200] in read(2).replace("\n", "")
    operator.start_vm()
    waits(paste(operator.do(operator.person.launch_info())), 5)
    assert "secret" in read(4)
    operator.do(operator.person.set_launch_state())
    done = paste(operator.do(operator.person.send("4", "run.qmp")))
    assert done.status == 0, done.out
    assert operator.has_the_secret
    late = paste("running: yes")
    assert (late.status, late.code) == (2, "nothing-to-paste")


def test_the_words_say_what_to_carry_and_how_to_go_on(launches, operator, begun):
    shown = launches.say("resume", begun)
    assert shown.status == 9
    assert f"Take {launches.folder}/usb to the host's operator" in shown.err
    (line,) = commands_in(shown.out)
    assert f"launch resume {begun}" in line
    assert "--paste FILE" in shown.out
    operator.put("1", operator.do(operator.person.capabilities()))
    waiting = launches.say("resume", begun)
    assert "launch measurement" in waiting.err
    idle = launches.folder / "idle.txt"
    idle.write_text("I will look into it tomorrow.\n")
    told = launches.say("resume", begun, "--paste", idle)
    assert told.status == 4
    assert "Nothing in it belongs to turn 3" in told.err


def test_what_a_pasted_text_said_is_told(launches, operator, begun, tmp_path):
    answer = tmp_path / "answer.txt"
    answer.write_text(operator.do(operator.person.capabilities()))
    shown = launches.say("resume", begun, "--paste", answer)
    assert "understood: " in shown.out


def test_the_answer_of_another_launch_is_named_so(launches, operator, begun, tmp_path):
    operator.put("1", operator.do(operator.person.capabilities()))
    waits(launches("resume", begun), 3)
    operator.start_vm()
    answer = operator.do(operator.person.send("2", "ask.qmp"))
    mail = tmp_path / "mail.txt"
    mail.write_text(answer.replace(begun, "web-20260101-abcdef"))
    shown = launches("resume", begun, "--paste", mail)
    assert (shown.status, shown.code) == (3, "reply-of-another-launch")
    assert "web-20260101-abcdef" in shown.error["message"]
    mail.write_text(answer)
    waits(launches("resume", begun, "--paste", mail), 5)


def test_a_folder_of_another_launch_is_left_alone(launches, begun):
    url = f"exchange://{launches.folder}/usb"
    shown = launches("prepare", "web", "--host", url, "--platform", launches.chain)
    assert (shown.status, shown.code) == (2, "exchange-folder-taken")


def test_only_hosts_by_hand_take_and_give_texts(launches, tmp_path):
    launch = launches.prepare()
    answer = tmp_path / "answer.txt"
    answer.write_text("running: yes")
    pasted = launches("complete", launch, "--paste", answer)
    assert (pasted.status, pasted.code) == (2, "nothing-to-paste")
    mailed = launches("show", launch, "--turn", "2")
    assert (mailed.status, mailed.code) == (2, "nothing-to-mail")


def test_a_turn_that_is_not_written_yet_has_no_text(launches, begun):
    assert launches("show", begun, "--turn", "2").code == "turn-not-written"
    assert launches("show", begun, "--turn", "3").status == 2


def test_a_platform_that_nobody_accepted_waits_at_the_packet(launches, operator, keys):
    launches.home.profile("open", ceks=[])
    url = f"exchange://{launches.folder}/usb"
    shown = launches.say("prepare", "open", "--host", url, "--platform", launches.chain)
    assert shown.status == 9
    assert "Nobody has accepted this platform yet" in shown.out
    launch = launches("list").json["launches"][0]["id"]
    operator.start_vm()
    operator.put("3", operator.do(operator.person.send("2", "ask.qmp")))
    assert launches("resume", launch).code == "platform-not-accepted"
    assert not list((launches.folder / "usb").glob("4-*/*.b64"))
    waits(launches("resume", launch, "--accept-platform", cek_fingerprint(keys)), 5)
