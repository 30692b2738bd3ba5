# SPDX-License-Identifier: Apache-2.0
"""What operators send is read in whatever form their programs print it, and in mails."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re

import pytest

from watchword.core.errors import AnswerPending, HostError, UsageError, VerificationRefused
from watchword.core.hosts.exchange import ExchangeHost
from watchword.core.hosts.exchange_replies import read_text
from watchword.core.hosts.exchange_texts import answer_text, turn_text, unwrap
from watchword.core.hosts.exchange_turns import Turn
from watchword.core.hosts.urls import ExchangeAddress
from watchword.core.sev.certificate_archive import write_archive
from watchword.core.sev.chain_files import recognise
from watchword.core.simulator import PlatformKeys

from .exchange_people import LAUNCH, b64, virsh_table


@pytest.fixture(scope="module")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture
def host(tmp_path):
    return ExchangeHost(ExchangeAddress(str(tmp_path / "vm1")), LAUNCH)


def fields(text):
    return read_text(text, "a text", LAUNCH).fields


# -- certificates --------------------------------------------------------------------


def answer(keys, **more):
    chain = {"pdh": b64(keys.pdh), "cert-chain": b64(keys.pek_oca_cek)}
    return {**chain, "cpu0-id": b64(keys.chip_id), "cbitpos": 51, "reduced-phys-bits": 1, **more}


def capabilities_xml(keys):
    """What `virsh domcapabilities` says of SEV; it has no certificates."""
    return (
        "<domainCapabilities>\n  <features>\n    <sev supported='yes'>\n"
        "      <cbitpos>47</cbitpos>\n      <reducedPhysBits>1</reducedPhysBits>\n"
        f"      <cpu0Id>{b64(keys.chip_id)}</cpu0Id>\n    </sev>\n  </features>\n"
        "</domainCapabilities>\n"
    )


def split(text, width=76):
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


def zipped(keys):
    """As sev-tool before `zip -j` packs it: the folders are in the names."""
    parts = {"pdh": keys.pdh, "pek": keys.pek, "oca": keys.oca, "cek": keys.cek}
    return write_archive({f"home/op/{name}.cert": data for name, data in parts.items()})


FORMS = {
    "QMP's answer": lambda k: {"qmp.json": json.dumps({"return": answer(k), "id": 3})},
    "its inside": lambda k: {"a.json": json.dumps(answer(k), indent=2)},
    "a transcript": lambda k: {
        "all.txt": "$ ./ask.sh\n"
        + json.dumps({"QMP": {"version": {}, "capabilities": ["oob"]}})
        + '\n{"return": {}}\n{"execute": "query-sev-capabilities"}\n'
        + json.dumps({"event": "SHUTDOWN", "data": {"guest": False}, "timestamp": {"seconds": 1}})
        + json.dumps({"return": answer(k)})
        + "\nConnection closed.\n"
    },
    "virsh nodesevinfo": lambda k: {"info.txt": virsh_table(answer(k))},
    "nodesevinfo from a narrow terminal": lambda k: {
        "info.txt": re.sub(r"(?m)^.{70,}$", lambda m: split(m[0]), virsh_table(answer(k)))
    },
    "raw files": lambda k: {"pdh.cert": k.pdh, "cert_chain.cert": k.pek_oca_cek},
    "base64 files": lambda k: {"pdh.b64": b64(k.pdh), "chain.b64": split(b64(k.pek_oca_cek))},
    "sevctl export": lambda k: {"chain.cert": k.pdh + k.pek_oca_cek},
    "sevctl export --full": lambda k: {"full.cert": k.full_chain},
    "sev-tool's zip": lambda k: {"certs_export.zip": zipped(k)},
    "virtctl sev fetch-cert-chain": lambda k: {
        "chain.json": json.dumps(
            {"pdh": b64(k.pdh), "certChain": b64(k.pek_oca_cek), "cpu0Id": b64(k.chip_id)}, indent=2
        )
    },
    "certificates and domcapabilities": lambda k: {
        "pdh.cert": k.pdh,
        "cert_chain.cert": k.pek_oca_cek,
        "caps.xml": capabilities_xml(k),
    },
    "XML with everything": lambda k: {
        "all.xml": f"<sev><pdh>\n{split(b64(k.pdh))}\n</pdh><cert-chain>{b64(k.pek_oca_cek)}"
        f"</cert-chain><cpu0Id>{b64(k.chip_id)}</cpu0Id></sev>"
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_certificates_are_read_in_each_form(keys, host, tmp_path, form):
    folder = tmp_path / "vm1" / "1-platform-from-host"
    folder.mkdir(parents=True)
    for name, content in FORMS[form](keys).items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    found = asyncio.run(host.platform())
    chain = recognise([("pdh", found.pdh), ("chain", found.cert_chain)]).certificates
    assert (chain.pdh, chain.pek) == (keys.pdh, keys.pek)
    assert chain.cek is not None
    says_chip = form not in ("raw files", "base64 files", "sev-tool's zip") and "sevctl" not in form
    assert found.cpu_id == (keys.chip_id if says_chip else None)
    if "domcapabilities" in form:
        assert (found.cbitpos, found.reduced_phys_bits) == (47, 1)


def test_signed_copies_and_ca_certificates_come_along(keys, host, tmp_path):
    host.accept_pasted(1, virsh_table(answer(keys)))
    (tmp_path / "vm1" / "1-platform-from-host" / "full.cert").write_bytes(keys.full_chain)
    found = asyncio.run(host.platform())
    chain = recognise([("pdh", found.pdh), ("chain", found.cert_chain)]).certificates
    assert chain.ark == keys.root.ark
    assert chain.cek == keys.cek


def test_certificates_that_come_one_by_one_are_waited_for(keys, host):
    understood = host.accept_pasted(1, b64(keys.pdh))
    assert understood.missing == ("the PEK", "the OCA", "the CEK")
    with pytest.raises(AnswerPending) as caught:
        asyncio.run(host.platform())
    assert caught.value.details["missing"] == ["the PEK", "the OCA", "the CEK"]
    assert host.accept_pasted(1, split(b64(keys.pek_oca_cek))).complete
    assert asyncio.run(host.platform()).pdh == keys.pdh


def test_two_hosts_certificates_are_not_mixed(keys, host):
    other = PlatformKeys.generate(2048)
    host.accept_pasted(1, virsh_table(answer(keys)))
    with pytest.raises(HostError) as caught:
        host.accept_pasted(1, virsh_table(answer(other)))
    assert caught.value.code == "exchange-reply-contradicts"
    with pytest.raises(HostError) as caught:
        host.accept_pasted(1, b64(other.pdh))
    assert caught.value.code == "exchange-reply-unusable"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"cpu0-id": b64(bytes(63))}, "63 bytes"),
        ({"cpu0-id": b64(bytes(500))}, "more than"),
        ({"cpu0-id": 5}, "not text"),
        ({"cpu0-id": "!!"}, "base64"),
        ({"cbitpos": 256}, "cbitpos"),
        ({"cbitpos": True}, "cbitpos"),
        ({"reduced-phys-bits": "one"}, "reduced-phys-bits"),
        ({"pdh": "AAAA"}, "certificate"),
        ({"pdh": [1]}, "text"),
    ],
)
def test_a_field_of_the_platform_that_makes_no_sense_is_refused(keys, host, change, word):
    with pytest.raises(HostError) as caught:
        host.accept_pasted(1, json.dumps(answer(keys, **change)))
    assert caught.value.code == "exchange-reply-unusable"
    assert word in caught.value.message


def test_a_host_without_sev_is_explained(host, tmp_path):
    error = {"error": {"class": "GenericError", "desc": "SEV is not enabled in KVM"}}
    folder = tmp_path / "vm1" / "1-platform-from-host"
    folder.mkdir(parents=True)
    (folder / "qmp.txt").write_text(json.dumps(error))
    with pytest.raises(HostError) as caught:
        asyncio.run(host.platform())
    assert caught.value.code == "host-without-sev"


def test_anything_else_among_the_certificates_is_named(keys, host, tmp_path):
    host.accept_pasted(1, virsh_table(answer(keys)))
    (tmp_path / "vm1" / "1-platform-from-host" / "notes.txt").write_text("see you tomorrow!")
    with pytest.raises(HostError) as caught:
        asyncio.run(host.platform())
    assert "notes.txt" in caught.value.message


# -- tables, forms, QMP --------------------------------------------------------------


def test_names_and_numbers_are_read_as_each_program_writes_them():
    assert fields("sev-api-minor: 55\nBuild : 3\nsev-policy:0x5\nenabled: yes") == {
        "api-minor": 55,
        "build-id": 3,
        "policy": 5,
        "enabled": True,
    }
    assert fields("api-minor:\n# build: 3\nunknown: 1\nhttp://x: y\n\tpolicy\t:\t7 ") == {
        "policy": 7
    }


def test_the_last_word_about_a_state_counts():
    first, then = ({"return": {"state": state}} for state in ("launch-secret", "running"))
    assert fields(json.dumps(first) + json.dumps(then)) == {"state": "running"}


def test_dominfos_state_is_about_the_vcpus():
    assert fields("Name:  vm1\nState:          running\n") == {"running": True}
    assert fields("State:          shut off\n") == {}


def test_measurement_and_report_are_told_apart_by_their_length():
    measured = {"return": {"data": b64(bytes(48))}}
    reported = {"return": {"data": b64(bytes(208))}}
    assert fields(json.dumps([measured, reported])).keys() == {"measurement", "report"}


MEASURED = bytes(range(128, 176))
VERSION = {"api-major": 1, "api-minor": 55, "build-id": 24, "policy": 5}
VIRTCTL = {"apiMajor": 1, "apiMinor": 55, "buildID": 24, "policy": 5, "loaderSHA": "ab" * 32}
VIRSH = {f"sev-{name}": value for name, value in VERSION.items()}
MEASUREMENTS = {
    "virtctl sev query-measurement": {
        "m.json": json.dumps({"measurement": b64(MEASURED), **VIRTCTL}, indent=2)
    },
    "virsh domlaunchsecinfo": {"m.txt": virsh_table({"sev-measurement": b64(MEASURED), **VIRSH})},
    "base64 beside QMP's answer": {"m.b64": b64(MEASURED) + "\n", "v.json": json.dumps(VERSION)},
    "raw beside QMP's answer": {"m.bin": MEASURED, "v.json": json.dumps({"return": VERSION})},
}


@pytest.mark.parametrize("form", MEASUREMENTS)
def test_measurements_are_read_in_each_form(host, tmp_path, form):
    folder = tmp_path / "vm1" / "3-measurement-from-host"
    folder.mkdir(parents=True)
    for name, content in MEASUREMENTS[form].items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert asyncio.run(host.measurement()) == MEASURED
    state = asyncio.run(host.state())
    assert (state.api_major, state.api_minor, state.build, state.policy) == (1, 55, 24, 5)


def test_a_mac_in_hex_is_no_measurement(host, tmp_path):
    folder = tmp_path / "vm1" / "3-measurement-from-host"
    folder.mkdir(parents=True)
    (folder / "calc_measurement_out.txt").write_text("ab" * 32)
    with pytest.raises(AnswerPending):
        asyncio.run(host.measurement())


@pytest.mark.parametrize("form", [bytes, b64])
def test_sev_tools_file_of_a_report_is_read(host, tmp_path, form):
    report = bytes(range(48)) + bytes([200] * 160)
    host.accept_pasted(5, '{"return": {"state": "running", "policy": 5}}')
    content = form(report)
    path = tmp_path / "vm1" / "5-running-from-host" / "attestation_report.bin"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert asyncio.run(host.attestation_report(report[:16])) == report


def test_a_word_that_it_runs_has_to_name_the_launch(host):
    with pytest.raises(HostError) as caught:
        host.accept_pasted(5, "running: yes")
    assert "launch: " in caught.value.remedy
    with pytest.raises(HostError):
        host.accept_pasted(5, f"launch: {LAUNCH}\nrunning: perhaps")
    with pytest.raises(HostError):
        host.accept_pasted(5, '{"return": {"state": "sleeping"}}')
    with pytest.raises(AnswerPending):  # the vCPUs run, and the launch is not over
        host.accept_pasted(5, '{"return": {"state": "launch-secret", "running": true}}')
    assert host.accept_pasted(5, '{"return": {"state": "running", "policy": 5}}').complete


def test_an_error_instead_of_a_measurement_is_explained(host, tmp_path):
    words = {"error": {"class": "GenericError", "desc": "SEV launch measurement is not available"}}
    with pytest.raises(HostError) as caught:
        host.accept_pasted(3, json.dumps(words))
    assert caught.value.code == "measurement-not-available"
    folder = tmp_path / "vm1" / "3-measurement-from-host"
    folder.mkdir(parents=True)
    (folder / "qmp.txt").write_text(json.dumps(words))
    with pytest.raises(HostError) as caught:
        asyncio.run(host.state())
    assert caught.value.code == "measurement-not-available"


def test_what_a_qemu_without_sev_answers_is_explained(host, tmp_path):
    # Recorded: QEMU 7.2.22 without SEV, given ask.qmp through socat.
    said = """\
{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}
{"return": {}, "id": "watchword:LAUNCH"}
{"return": {"enabled": false, "api-minor": 0, "handle": 0, "state": "uninit", "api-major": 0, \
"build-id": 0, "policy": 0}, "id": "watchword:LAUNCH"}
{"return": {"status": "prelaunch", "singlestep": false, "running": false}, "id": "watchword:LAUNCH"}
{"return": [{"thread-id": 7375, "cpu-index": 0, "target": "x86_64"}], "id": "watchword:LAUNCH"}
{"id": "watchword:LAUNCH", "error": {"class": "GenericError", "desc": "SEV launch measurement is \
not available"}}
"""
    with pytest.raises(HostError) as caught:
        host.accept_pasted(3, said.replace("LAUNCH", LAUNCH))
    assert caught.value.code == "sev-not-enabled"
    folder = tmp_path / "vm1" / "3-measurement-from-host"
    folder.mkdir(parents=True)
    (folder / "qmp.txt").write_text(said.replace("LAUNCH", LAUNCH))
    with pytest.raises(HostError) as caught:
        asyncio.run(host.measurement())
    assert caught.value.code == "sev-not-enabled"


def test_a_command_that_an_old_qemu_does_not_know_is_explained(host):
    words = {"error": {"class": "CommandNotFound", "desc": "The command has not been found"}}
    with pytest.raises(HostError) as caught:
        host.accept_pasted(3, json.dumps(words))
    assert caught.value.code == "qemu-command-missing"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("policy" + " " * 1_000_000 + ": 1", {"policy": 1}),
        ("policy:" + " " * 1_000_000 + "1", {"policy": 1}),
        ("<pdh>" * 200_000, {}),
        ("<pdh>" + "A" * 1_000_000, {}),
        ("> " * 500_000 + "-----BEGIN WATCHWORD TURN", {}),
        (" " * 1_000_000, {}),
    ],
)
def test_no_text_takes_longer_than_its_length(text, found):
    # Each of these would take hours if anything in it were tried again from each place.
    assert fields(unwrap(text, "a text", Turn.MEASUREMENT, LAUNCH)) == found


# -- mails ---------------------------------------------------------------------------

BODY = f"launch: {LAUNCH}\napi-minor: 55\n"


def test_an_answer_in_a_mail_is_found_and_its_checksum_compared():
    text = answer_text(Turn.MEASUREMENT, LAUNCH, BODY)
    mail = "Hi,\napi-minor: 54\n\n" + "".join(f"> {line}  \r\n" for line in text.splitlines())
    assert fields(unwrap(mail, "a mail", Turn.MEASUREMENT, LAUNCH)) == {"api-minor": 55}
    with pytest.raises(HostError) as caught:
        unwrap(mail.replace("55", "56"), "a mail", Turn.MEASUREMENT, LAUNCH)
    assert caught.value.code == "exchange-copying-error"


def test_our_own_turn_quoted_in_an_answer_is_passed_over():
    sent = turn_text(Turn.START, LAUNCH, {"policy.txt": b"policy: 7\n"}, "launch: x\npolicy:\n")
    mail = "policy: 5\n" + "".join(f"> {line}\n" for line in sent.splitlines()[:-5])
    assert "policy: 7" in mail
    assert fields(unwrap(mail, "a mail", Turn.MEASUREMENT, LAUNCH)) == {"policy": 5}


def test_the_form_below_a_mailed_turn_is_filled_in_and_sent_back(host):
    sent = turn_text(Turn.START, LAUNCH, {}, f"launch: {LAUNCH}\napi-minor:\nbuild:\n")
    back = sent.replace("api-minor:", "api-minor: 55").replace("build:", "build: 3")
    found = fields(unwrap(back, "a mail", Turn.MEASUREMENT, LAUNCH))
    assert found == {"api-minor": 55, "build-id": 3}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (answer_text(Turn.PLATFORM, LAUNCH, BODY), HostError),
        (answer_text(Turn.MEASUREMENT, "other", BODY), VerificationRefused),
        (answer_text(Turn.MEASUREMENT, LAUNCH, BODY).rpartition("-----END")[0], HostError),
    ],
)
def test_a_mail_of_another_turn_or_launch_or_cut_short_is_refused(text, kind):
    with pytest.raises(kind):
        unwrap(text, "a mail", Turn.MEASUREMENT, LAUNCH)


def test_the_checksum_of_a_turn_is_over_its_lines():
    text = turn_text(Turn.START, LAUNCH, {"README.txt": b"one\n  two \n"}, "launch: x\n")
    lines = text.splitlines()
    assert lines[0] == f"-----BEGIN WATCHWORD TURN 2 OF LAUNCH {LAUNCH}-----"
    assert lines[1:3] == ["one", "  two "]
    assert lines[3] == "sha256: " + hashlib.sha256(b"one\n  two").hexdigest()


def test_what_mail_can_not_carry_stays_out():
    files = {"a.b64": b"A" * 5000, "b.bin": bytes(5), "c.txt": b"x" * 901, "d.txt": b"\x1b[31m"}
    text = turn_text(Turn.START, LAUNCH, files, "launch: x\n")
    assert re.findall("===== (.*) =====", text) == ["a.b64"]
    assert max(map(len, text.splitlines())) <= 900


@pytest.mark.parametrize("turn", [3, 5, 0, 9])
def test_only_what_goes_to_the_host_is_mailed(host, turn):
    with pytest.raises(UsageError) as caught:
        host.outgoing_text(turn)
    assert caught.value.code == "bad-turn"


def test_a_turn_that_was_not_written_has_no_text(host):
    with pytest.raises(UsageError) as caught:
        host.outgoing_text(2)
    assert caught.value.code == "turn-not-written"


@pytest.mark.parametrize("launch_id", ["", "-x", "a b", "a/b", "a" * 65, "ä", "a\n", ".."])
def test_an_id_that_no_file_could_hold_is_refused(launch_id):
    with pytest.raises(UsageError) as caught:
        ExchangeHost(ExchangeAddress("/x"), launch_id)
    assert caught.value.code == "bad-launch-id"
