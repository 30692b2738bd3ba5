# SPDX-License-Identifier: Apache-2.0
"""``rehearse``: a whole launch from one command, against honest and hostile hosts."""

from __future__ import annotations

import pytest

from watchword.core.simulator import ATTACKS, PlatformKeys

STEPS = ["guest", "platform", "session", "start", "measurement", "secret", "run"]


@pytest.fixture
def rehearse(command, monkeypatch, keys):
    """Rehearses on a machine that was made before: new keys take a second or two."""
    monkeypatch.setattr(PlatformKeys, "generate", lambda *_: keys)

    def run(*words):
        return command("rehearse", "--json", *words)

    return run


def test_a_friendly_host_gets_through(rehearse):
    shown = rehearse()
    assert (shown.status, shown.err) == (0, "")
    made = shown.json
    assert (made["simulated"], made["complete"], made["attack"]) == (True, True, None)
    assert (made["secret_in_guest"], made["secret_seen_by_host"], made["packets"]) == (
        True,
        False,
        1,
    )
    assert [(step["step"], step["state"]) for step in made["steps"]] == [
        (step, "done") for step in STEPS
    ]
    records = {step["step"]: step["record"] for step in made["steps"]}
    assert records["platform"]["root"] == "not-amd"
    assert "confirmed" in records["run"]["running"]


@pytest.mark.parametrize(
    ("attack", "code", "step"),
    [
        ("forged-chain", "chain-refused", "platform"),
        ("swapped-pdh", "chain-refused", "platform"),
        ("wrong-firmware", "measurement-mismatch", "measurement"),
        ("replayed-measurement", "measurement-mismatch", "measurement"),
    ],
)
def test_an_attack_is_refused_at_its_step(rehearse, attack, code, step):
    shown = rehearse("--attack", attack)
    assert (shown.status, shown.code) == (3, code)
    made = shown.json
    assert (made["attack"], made["complete"], made["packets"]) == (attack, False, 0)
    assert (made["secret_in_guest"], made["secret_seen_by_host"]) == (False, False)
    states = {step["step"]: step["state"] for step in made["steps"]}
    assert states[step] == "failed"
    assert set(list(states.values())[STEPS.index(step) + 1 :]) <= {"blocked", "todo"}


def test_the_attacks_are_listed(command):
    shown = command("rehearse", "--attack", "list", "--json")
    assert shown.status == 0
    names = [attack["name"] for attack in shown.json["attacks"]]
    assert names == [attack.name for attack in ATTACKS]
    in_text = command("rehearse", "--attack", "list")
    assert [line.split()[0] for line in in_text.out.splitlines()] == names


def test_an_unknown_attack_is_a_usage_error_that_names_all(command):
    shown = command("rehearse", "--attack", "rudeness", "--json")
    assert (shown.status, shown.code) == (2, "unknown-attack")
    assert all(attack.name in shown.error["remedy"] for attack in ATTACKS)


@pytest.mark.parametrize(
    "words",
    [
        ("--vcpus", "1"),
        ("--vcpus", "4", "--cpu", "EPYC-Genoa", "--vmsa", "init2"),
        ("--policy", "0x1100002b"),
        ("--policy", "nodbg,noks,es,nosend,sev,min-api=1.55"),
    ],
    ids=" ".join,
)
def test_other_guests_get_through_as_well(rehearse, words):
    assert rehearse(*words).status == 0


def test_a_kernel_is_measured_and_takes_its_own_route(rehearse, folder):
    for name in ("kernel", "initrd"):
        (folder / name).write_bytes(name.encode())
    shown = rehearse(
        "--kernel", folder / "kernel", "--initrd", folder / "initrd", "--cmdline", "ro quiet"
    )
    assert shown.status == 0
    secret = next(step for step in shown.json["steps"] if step["step"] == "secret")["record"]
    assert (secret["route"], secret["secrets"][0]["trailing_nul_added"]) == ("kernel", False)


def test_a_weak_policy_is_refused_and_can_be_waived(rehearse):
    refused = rehearse("--policy", "0x1")
    assert (refused.status, refused.code) == (3, "policy-refused")
    waived = rehearse("--policy", "0x1", "--waive-policy", "a test bench")
    assert (waived.status, waived.json["ok"]) == (8, True)
    assert waived.json["waivers"] == {"guest": "a test bench"}


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("--policy", "0x1100002b", "--vcpus", "2"), 2, "vcpus-without-es"),
        (("--vcpus", "x"), 2, "bad-arguments"),
        (("--initrd", "x"), 2, "kernel-missing"),
        (("--cmdline", "x"), 2, "kernel-missing"),
        (("--min-build", "x"), 2, "bad-build"),
        (("--firmware", "/dev/zero"), 6, "file-not-regular"),
        (("--firmware", "/nowhere"), 6, "file-missing"),
    ],
)
def test_usage_errors_and_bad_files(rehearse, words, status, code):
    shown = rehearse(*words)
    assert (shown.status, shown.code) == (status, code)


def test_firmware_that_takes_no_secret_is_told_so(rehearse, vectors):
    shown = rehearse("--firmware", vectors / "firmware" / "OVMF_CODE.fd")
    assert (shown.status, shown.code) == (6, "firmware-without-secret-area")


def test_the_words_say_simulated_and_what_it_means(command, rehearse):
    shown = command("rehearse")
    assert shown.out.startswith("SIMULATED: ")
    assert "it proves nothing about any hardware" in shown.out
    assert "a root that is NOT AMD's" in shown.out
    assert shown.out.endswith("the disk would unlock.\n")
    attacked = command("rehearse", "--attack", "swapped-pdh")
    assert "The host attacks (swapped-pdh): " in attacked.out
    assert attacked.out.endswith("the guest's disk stays locked.\n")
    assert attacked.err.startswith("The platform's certificate chain does not hold.\n")
