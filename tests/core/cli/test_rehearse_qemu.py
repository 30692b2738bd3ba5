# SPDX-License-Identifier: Apache-2.0
"""``rehearse --qemu``: a guest that really boots, from one command."""

from __future__ import annotations

import subprocess

import pytest

from watchword.core.simulator import PlatformKeys

from ..rehearsal.locked_disk import HELLO, PASSPHRASE, TOOLS, UNLOCKED, find_artifacts, make_disk

WAIVED = ("--waive-firmware", "a test: this firmware falls through, and prompts")
PLAIN = ("--policy", "0x1100002b")


@pytest.fixture(scope="module")
def artifacts(program):
    for name, package in TOOLS.items():
        program(name, package)
    return find_artifacts()


@pytest.fixture(scope="module")
def disk(artifacts, tmp_path_factory):
    return make_disk(artifacts, tmp_path_factory.mktemp("disk"))


@pytest.fixture
def compact_disk(program, disk, tmp_path):
    """The same disk as qcow2."""
    image = tmp_path / "disk, compact.qcow2"
    words = ["convert", "-O", "qcow2", disk, image]
    subprocess.run([program("qemu-img", "qemu-utils"), *words], check=True, timeout=60)
    return image


@pytest.fixture
def rehearse(command, monkeypatch, keys):
    """Rehearses on a machine that was made before: new keys take a second or two."""
    monkeypatch.setattr(PlatformKeys, "generate", lambda *_: keys)

    def run(*words, as_json=True):
        return command("rehearse", "--qemu", *(["--json"] if as_json else []), *words)

    return run


@pytest.fixture
def kernel_words(artifacts):
    return (
        *("--firmware", artifacts.firmware, "--kernel", artifacts.kernel),
        *("--initrd", artifacts.initrd, "--cmdline", "console=ttyS0"),
    )


@pytest.fixture
def passphrase(tmp_path):
    path = tmp_path / "disk-passphrase"
    path.write_bytes(PASSPHRASE)
    return path


@pytest.mark.slow
def test_the_disk_opens_and_the_report_says_what_was_real(
    rehearse, kernel_words, compact_disk, passphrase
):
    shown = rehearse(
        *kernel_words, *WAIVED, "--vcpus", "1", "--disk", compact_disk, "--console",
        "--time-limit", "40",
        "--secret", f"disk-passphrase={passphrase}", "--unlocked-when", UNLOCKED,
    )  # fmt: skip
    assert shown.status == 8, shown.err
    made = shown.json
    assert (made["verdict"], made["marker"], made["ok"]) == ("unlocked", UNLOCKED, True)
    assert (made["simulated"], made["secret_in_guest"]) == (True, True)
    assert (made["secret_seen_by_host"], made["secret_on_console"]) == (False, False)
    assert made["kernel_bytes_edited_by_qemu"] > 0
    assert "launch digest is of your kernel's file" in made["kernel_note"]
    assert any("secure processor" in part for part in made["simulated_parts"])
    assert any("encrypted memory" in part for part in made["absent"])
    assert made["seconds"]["start"] <= made["seconds"]["run"] <= made["seconds"]["verdict"]
    assert f"guest: SIM-ROOT {HELLO}" in shown.err
    assert "\x1b" not in shown.err
    assert PASSPHRASE.decode() not in shown.out + shown.err


@pytest.mark.slow
def test_words_tell_the_verdict_and_what_a_person_should_look_at(
    rehearse, artifacts, disk, tmp_path
):
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"not the passphrase")
    shown = rehearse(
        "--firmware", artifacts.firmware, *PLAIN, *WAIVED, "--disk", disk,
        "--secret", f"disk-passphrase={wrong}", "--time-limit", "40", as_json=False,
    )  # fmt: skip
    assert shown.status == 4
    assert "SIMULATED" in shown.out
    assert "VERDICT: the guest asked for a passphrase" in shown.out
    assert "Enter passphrase for" in shown.out
    assert "--route" in shown.err


@pytest.mark.slow
def test_an_attack_on_the_measurement_is_refused_before_the_guest_runs(
    rehearse, kernel_words, disk, passphrase
):
    shown = rehearse(
        *kernel_words, *PLAIN, *WAIVED, "--disk", disk, "--attack", "wrong-kernel",
        "--secret", f"disk-passphrase={passphrase}",
    )  # fmt: skip
    assert shown.status == 3
    assert shown.json["error"]["code"] == "measurement-mismatch"
    assert (shown.json["verdict"], shown.json["secret_in_guest"]) == ("not-run", False)


@pytest.mark.slow
def test_a_profile_and_its_vault_are_the_defaults(
    rehearse, command, kernel_words, disk, passphrase, batch_home
):
    opened = ("--passphrase-file", batch_home.passphrase)
    added = command("vault", "add", "disk-key", "--from-file", passphrase, *opened)
    assert added.status == 0, added.err
    words = ("guest", "add", "vm1", *kernel_words, *PLAIN, "--secret", "disk-passphrase=disk-key")
    made = command(*words)
    assert made.status == 0, made.err
    how = (*opened, *WAIVED, "--disk", disk, "--unlocked-when", UNLOCKED, "--time-limit", "40")
    shown = rehearse("--guest", "vm1", *how)
    assert shown.status == 8, shown.err + shown.out
    assert shown.json["verdict"] == "unlocked"


def test_firmware_that_is_a_no_go_is_refused_without_a_waiver(rehearse, artifacts):
    shown = rehearse("--firmware", artifacts.firmware, *PLAIN)
    assert shown.status == 3
    assert shown.json["error"]["code"] == "firmware-refused"


def test_the_attacks_on_a_real_guest_are_listed_with_qemu_alone(rehearse, command):
    listed = rehearse("--attack", "list").json["attacks"]
    assert {"swapped-kernel", "own-disk", "tampered-packet"} <= {one["name"] for one in listed}
    plain = command("rehearse", "--json", "--attack", "list").json["attacks"]
    assert "swapped-kernel" not in {one["name"] for one in plain}
    refused = command("rehearse", "--json", "--attack", "swapped-kernel")
    assert (refused.status, refused.json["error"]["code"]) == (2, "unknown-attack")


@pytest.mark.parametrize(
    "words",
    [
        ("--disk", "disk.img"),
        ("--memory", "512"),
        ("--console",),
        ("--guest", "vm1"),
        ("--secret", "disk-passphrase=file"),
        ("--time-limit", "5"),
    ],
)
def test_an_option_that_only_a_real_guest_can_use_is_not_passed_over(command, words):
    shown = command("rehearse", "--json", *words)
    assert shown.status == 2
    assert shown.json["error"]["code"] == "needs-qemu"
    assert words[0] in shown.json["error"]["title"]


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        ((), 2, "firmware-missing"),
        (("--firmware", "{firmware}", "--initrd", "{firmware}"), 2, "kernel-missing"),
        (("--firmware", "{firmware}", "--disk", "/nowhere/disk"), 6, "file-missing"),
        (("--firmware", "{firmware}", "--memory", "64"), 2, "memory-size"),
        (("--firmware", "{firmware}", "--time-limit", "0"), 2, "time-limit"),
        (("--firmware", "{firmware}", "--attack", "nonsense"), 2, "unknown-attack"),
        (("--firmware", "{firmware}", "--vault-secret", "nonsense"), 2, "bad-secret-option"),
        (("--guest", "nobody"), 6, "no-such-guest"),
    ],
)
def test_what_can_not_be_rehearsed_is_named_before_anything_starts(
    rehearse, firmware, words, status, code
):
    shown = rehearse(*(str(word).format(firmware=firmware) for word in words))
    assert (shown.status, shown.json["error"]["code"]) == (status, code)


@pytest.mark.parametrize("option", ["--disk", "--host-disk"])
def test_a_disk_that_has_qemu_read_other_files_is_refused(
    rehearse, firmware, program, tmp_path, option
):
    private, image = tmp_path / "private", tmp_path / "image"
    private.write_bytes(bytes(1 << 16))
    words = ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", private, image]
    subprocess.run([program("qemu-img", "qemu-utils"), *words], check=True, timeout=60)
    for more in ((), ("--disk-format", "qcow2")):
        shown = rehearse("--firmware", firmware, option, image, *more)
        assert (shown.status, shown.json["error"]["code"]) == (6, "image-not-alone")
