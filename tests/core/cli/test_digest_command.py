# SPDX-License-Identifier: Apache-2.0
"""``digest``: what other tools compute, files against hashes, options that contradict."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from .support import kernel_options


def test_the_digests_of_sev_snp_measure(vectors, files, command):
    rows = json.loads((vectors / "sev-snp-measure.json").read_text())["vectors"]
    statuses = []
    for row in rows:
        words = ["digest", "--firmware", files(row["firmware"]), "--json"]
        words += kernel_options(vectors, row)
        if row["mode"] == "seves":
            words += ["--vcpus", row["vcpus"], "--cpu", row["vcpu_type"], "--vmsa", "init2"]
        shown = command(*words)
        statuses.append(shown.status)
        if row["expected"] is None:
            assert shown.code == "firmware-without-kernel-hashes"
        else:
            assert shown.json["launch_digest"] == row["expected"], row
    assert (statuses.count(0), statuses.count(6), len(rows)) == (99, 24, 123)


def test_the_digests_of_sevctl(vectors, files, command):
    rows = json.loads((vectors / "sevctl.json").read_text())["measurements"]
    agreed = 0
    for row in rows:
        firmware = files(row["firmware"])
        if firmware is None:
            continue
        words = ["digest", "--firmware", firmware, "--json", *kernel_options(vectors, row)]
        if row["num_cpus"]:
            cpu = "{family}/{model}/{stepping}".format(**row["cpu"])
            words += ["--vcpus", row["num_cpus"], "--cpu", cpu]
        shown = command(*words)
        if shown.status == 6:  # QEMU would not start it
            assert shown.code == "firmware-without-kernel-hashes"
            continue
        assert shown.json["launch_digest"] == row["launch_digest"], row
        agreed += 1
    assert agreed == 21


def test_the_json_tells_what_went_in(command, firmware):
    shown = command(
        *("digest", "--firmware", firmware, "--vcpus", "3", "--cpu", "EPYC-Milan", "--json"),
        *("--kernel-sha256", "11" * 32, "--sev-features", "0x20"),
    )
    assert shown.status == 0
    made = shown.json
    assert list(made) == ["ok", "launch_digest", "components"]
    assert [(part["name"], part["count"], part["size"]) for part in made["components"]] == [
        ("firmware", 1, 65536),
        ("kernel-hashes", 1, 176),
        ("vmsa", 1, 4096),
        ("vmsa", 2, 4096),
    ]
    assert made["components"][0]["sha256"] == hashlib.sha256(firmware.read_bytes()).hexdigest()
    assert "SEV features 0x20" in made["components"][2]["description"]


def test_the_words_show_the_digest_and_its_parts(command, firmware):
    value = hashlib.sha256(firmware.read_bytes()).hexdigest()
    shown = command("digest", "--firmware", firmware)
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith(f"launch digest  {value[:8]} {value[8:16]} ")
    assert f"  firmware: the image as it is mapped, SHA-256 {value}" in shown.out


@pytest.fixture
def boot_files(tmp_path):
    contents = {"kernel": b"a kernel" * 1000, "initrd": b"an initrd", "cmdline": b"ro quiet\0"}
    paths = {name: tmp_path / name for name in ("kernel", "initrd")}
    for name, path in paths.items():
        path.write_bytes(contents[name])
    return paths, {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}


def test_hashes_give_what_files_give(command, firmware, boot_files):
    paths, hashes = boot_files
    base = ("digest", "--json", "--firmware", firmware, "--vcpus", "2", "--cpu", "25/1/1")
    full = command(
        *base, "--kernel", paths["kernel"], "--initrd", paths["initrd"], "--cmdline", "ro quiet"
    )
    assert full.status == 0
    hashed = [f"--{name}-sha256={value}" for name, value in hashes.items()]
    assert command(*base, *hashed).json == full.json
    mixed = command(*base, "--kernel", paths["kernel"], *hashed[1:])
    assert mixed.json == full.json
    upper = [f"--{name}-sha256=0x{value.upper()}" for name, value in hashes.items()]
    assert command(*base, *upper).json == full.json


def test_every_byte_of_the_command_line_counts(command, firmware, boot_files):
    paths, _ = boot_files
    base = ("digest", "--json", "--firmware", firmware, "--kernel", paths["kernel"])
    texts = ("ro", "ro ", " ro", "ro\n", "RO", "rö")
    digests = {command(*base, f"--cmdline={text}").json["launch_digest"] for text in texts}
    assert len(digests) == len(texts)
    # None and an empty one are the same to QEMU: a single NUL.
    assert command(*base).json == command(*base, "--cmdline=").json


def test_an_empty_initrd_is_no_initrd(command, firmware, boot_files, tmp_path):
    paths, _ = boot_files
    (tmp_path / "empty").touch()
    base = ("digest", "--json", "--firmware", firmware, "--kernel", paths["kernel"])
    assert command(*base, "--initrd", tmp_path / "empty").json == command(*base).json
    refused = command(*base[:-1], tmp_path / "empty")
    assert (refused.status, refused.code) == (6, "file-empty")


def test_the_firmwares_hash_is_enough_for_plain_sev(command, firmware):
    value = hashlib.sha256(firmware.read_bytes()).hexdigest()
    shown = command("digest", "--firmware-sha256", value, "--json")
    assert (shown.status, shown.json["launch_digest"]) == (0, value)
    for more in (["--kernel-sha256", "11" * 32], ["--vcpus", "2", "--cpu", "EPYC"]):
        refused = command("digest", "--firmware-sha256", value, *more, "--json")
        assert refused.status == 2
        assert "can't be worked out" in refused.error["message"]
        assert "firmware file" in refused.error["remedy"]


HASH = "11" * 32


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("", "no-firmware"),
        (f"--kernel-sha256 {HASH}", "no-firmware"),
        (f"--firmware F --firmware-sha256 {HASH}", "contradicting-options"),
        (f"--firmware F --kernel F --kernel-sha256 {HASH}", "contradicting-options"),
        (f"--firmware F --kernel F --initrd F --initrd-sha256 {HASH}", "contradicting-options"),
        (f"--firmware F --kernel F --cmdline x --cmdline-sha256 {HASH}", "contradicting-options"),
        ("--firmware F --initrd F", "kernel-missing"),
        ("--firmware F --cmdline x", "kernel-missing"),
        (f"--firmware F --cmdline-sha256 {HASH}", "kernel-missing"),
        ("--firmware F --vcpus 2", "no-cpu"),
        ("--firmware F --cpu EPYC", "no-vcpus"),
        ("--firmware F --vmsa legacy", "no-vcpus"),
        ("--firmware F --sev-features 0", "no-vcpus"),
        ("--firmware F --vcpus 2 --cpu EPYC --sev-features zz", "bad-hex"),
        ("--firmware F --vcpus 2 --cpu EPYC --sev-features 10000000000000000", "bad-hex"),
        ("--firmware-sha256 1122", "bad-hex"),
        (f"--firmware-sha256 {HASH}11", "bad-hex"),
        (f"--firmware-sha256 {'zz' * 32}", "bad-hex"),
    ],
)
def test_options_that_make_no_sense_together_are_usage_errors(command, firmware, words, code):
    typed = [firmware if word == "F" else word for word in words.split()]
    shown = command("digest", *typed, "--json")
    assert (shown.status, shown.code) == (2, code)


@pytest.mark.parametrize(
    "words",
    [
        "--vcpus 0 --cpu EPYC",
        "--vcpus 8193 --cpu EPYC",
        "--vcpus 2 --cpu EPYCX",
        "--vcpus 2 --cpu 25/1",
        "--vcpus 2 --cpu Opteron_G5",
        "--vcpus 2 --cpu EPYC --vmsa new",
    ],
)
def test_values_that_no_guest_has_are_refused(command, firmware, words):
    shown = command("digest", "--firmware", firmware, *words.split(), "--json")
    assert shown.status in (2, 6)
    assert shown.error


def test_big_files_are_streamed_or_refused(command, firmware, tmp_path):
    big = tmp_path / "big"
    big.touch()
    os.truncate(big, 3 << 30)
    for words in (["--firmware", big], ["--firmware", firmware, "--kernel", big]):
        shown = command("digest", *words, "--json")
        assert (shown.status, shown.code) == (6, "file-too-large")
    for path in ("/dev/zero", tmp_path, tmp_path / "missing", ""):
        shown = command("digest", "--firmware", firmware, "--kernel", path, "--json")
        assert (shown.status, shown.error["details"]["field"]) == (6, "--kernel")


def test_what_is_no_firmware_is_refused(command, tmp_path):
    path = tmp_path / "firmware"
    for content in (b"", b"\x7fELF" * 1000, bytes(4095), b"-----BEGIN CERTIFICATE-----\n"):
        path.write_bytes(content)
        shown = command("digest", "--firmware", path, "--json")
        assert (shown.status, shown.error["details"]["field"]) == (6, "--firmware")
