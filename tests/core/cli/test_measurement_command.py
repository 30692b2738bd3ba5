# SPDX-License-Identifier: Apache-2.0
"""``measurement compute`` and ``measurement verify`` against other tools, and refusals."""

from __future__ import annotations

import base64
import json

import pytest

from .support import kernel_options

NONCE = "c14d9fce32ed65af0270847400376f4e"
DIGEST = "22" * 32


@pytest.fixture
def tik(tmp_path):
    """Writes a TIK from hex; returns its path."""

    def write(digits="3d67b064da42860358af67d13f394390", name="tik.bin"):
        path = tmp_path / name
        path.write_bytes(bytes.fromhex(digits))
        return path

    return write


@pytest.fixture
def compute(command, tik):
    """The JSON of a computed measurement."""

    def run(**changes):
        options = {
            "tik": tik(),
            "api": "1.49",
            "build": "6",
            "policy": "default",
            "nonce": NONCE,
            "launch-digest": DIGEST,
            **changes,
        }
        words = [f"--{name}={value}" for name, value in options.items() if value is not None]
        return command("measurement", "compute", *words, "--json")

    return run


@pytest.fixture
def verify(command, tik, compute):
    """Verifies a measurement that is right but for the given changes."""

    def run(*words, reported=None, **changes):
        options = {
            "tik": tik(),
            "api": "1.49",
            "build": "6",
            "policy": "default",
            "launch-digest": DIGEST,
            **changes,
        }
        typed = [f"--{name}={value}" for name, value in options.items() if value is not None]
        blob = compute().json["blob"] if reported is None else reported
        return command("measurement", "verify", *typed, f"--reported={blob}", *words, "--json")

    return run


def test_the_measurements_of_sev_tool(vectors, command, tik):
    rows = json.loads((vectors / "sev-tool.json").read_text())["measurements"]
    agreed = 0
    for row in rows:
        shown = command(
            *("measurement", "compute", "--json", "--tik", tik(row["tik"])),
            *("--api", f"{row['api_major']}.{row['api_minor']}", "--build", row["build_id"]),
            *("--policy", hex(row["policy"]), "--nonce", row["nonce"]),
            *("--launch-digest", row["launch_digest"]),
        )
        if row["policy"] == 0xFFFFFFFF:  # every firmware refuses its reserved bits
            assert (shown.status, shown.code) == (2, "bad-policy")
            continue
        assert shown.json["measurement"] == row["expected"]
        assert ("before API 0.17" in shown.err) is row["form"].startswith("pre")
        agreed += 1
    assert agreed == 6


def test_the_measurements_of_sevctl(vectors, files, command):
    everything = json.loads((vectors / "sevctl.json").read_text())
    nonce = (vectors / everything["nonce"]).read_bytes().hex()
    verdicts = []
    for row in everything["measurements"]:
        words = ["--tik", vectors / everything["tik"], "--policy", hex(row["policy"])]
        words += ["--api", f"{row['api_major']}.{row['api_minor']}", "--build", row["build_id"]]
        words += digest_options(vectors, files(row["firmware"]), row)
        made = command("measurement", "compute", *words, "--nonce", nonce, "--json")
        assert made.json["blob"] == row["expected_b64"], row
        assert made.json["launch_digest"] == row["launch_digest"]
        reported = ("--reported", row["expected_b64"])
        verdicts.append(command("measurement", "verify", *words, *reported, "--json").status)
    # Two of the policies ask for API 80.0, which no firmware has.
    assert (verdicts.count(0), verdicts.count(3), len(verdicts)) == (28, 2, 30)


def digest_options(vectors, firmware, row):
    """What a row loads; its launch digest where the firmware is not at hand, or can't start."""
    if firmware is None or (row["kernel"] and "4M" in row["firmware"]):
        return ["--launch-digest", row["launch_digest"]]
    words = ["--firmware", firmware, *kernel_options(vectors, row)]
    if row["num_cpus"]:
        cpu = "{family}/{model}/{stepping}".format(**row["cpu"])
        words += ["--vcpus", row["num_cpus"], "--cpu", cpu]
    return words


def test_computing_gives_the_reported_form_too(compute):
    shown = compute()
    assert shown.status == 0
    assert list(shown.json) == ["ok", "measurement", "nonce", "blob", "launch_digest"]
    blob = base64.b64decode(shown.json["blob"], validate=True)
    assert blob.hex() == shown.json["measurement"] + NONCE
    assert (shown.json["nonce"], shown.json["launch_digest"]) == (NONCE, DIGEST)


def test_a_measurement_verifies(verify):
    shown = verify()
    assert (shown.status, shown.err) == (0, "")
    made = shown.json
    assert (made["ok"], made["verdict"], made["launch_digest"]) == (True, "matches", DIGEST)
    assert (made["firmware"], made["policy"], made["nonce"]) == ("1.49 build 6", 0x1100002F, NONCE)


def test_the_build_may_be_written_in_hex(verify):
    assert verify(build="0x06").status == 0
    for text in ("6.0", "0x", "256", "-6", "6_0", "०६", "six", ""):
        shown = verify(build=text)
        assert (shown.status, shown.code) == (2, "bad-build")


@pytest.mark.parametrize(
    "changes",
    [
        {"api": "1.50"},
        {"build": "7"},
        {"policy": "0x1100002d"},
        {"launch-digest": "23" + "22" * 31},
    ],
    ids=str,
)
def test_anything_else_is_refused(verify, changes):
    shown = verify(**changes)
    assert (shown.status, shown.code) == (3, "measurement-mismatch")
    details = shown.error["details"]
    assert details["reported"] != details["expected"][0]
    assert details["policy"] == int(changes.get("policy", "0x1100002f"), 16)


def test_swapped_keys_are_refused(command, verify, tik, vectors):
    for key in (tik("00" * 16, "tek.bin"), vectors / "inputs" / "tek.bin"):
        assert verify(tik=key).code == "measurement-mismatch"


def test_both_keys_in_one_file_are_taken_in_their_order(verify, tik):
    own = tik().read_bytes().hex()
    assert verify(tik=None, tk=tik("aa" * 16 + own, "tk.bin")).status == 0
    assert verify(tik=None, tk=tik(own + "aa" * 16, "kt.bin")).status == 3


def test_a_flipped_bit_in_the_answer_is_refused(compute, verify):
    blob = base64.b64decode(compute().json["blob"])
    for place in (0, 31, 32, 47):
        altered = bytearray(blob)
        altered[place] ^= 1
        shown = verify(reported=base64.b64encode(altered).decode())
        assert (shown.status, shown.code) == (3, "measurement-mismatch")


@pytest.mark.parametrize(
    "reported", ["", "x", "AAAA", "A" * 63, "A" * 65, "A" * 68, "A" * 32 + "!" + "A" * 31, "ü" * 64]
)
def test_an_answer_that_is_none_is_bad_input(verify, reported):
    shown = verify(reported=reported)
    assert shown.status == 6
    assert shown.error["title"] == "Can't use --reported"


def test_firmware_that_is_too_old_or_known_bad_is_refused_although_the_mac_is_right(
    compute, verify
):
    cases = [
        ({"api": "0.16", "policy": "0x2f"}, (), "firmware-too-old"),
        ({"api": "0.17", "build": "11"}, (), "firmware-known-bad"),
        ({}, ("--min-api", "1.50"), "firmware-too-old"),
        ({}, ("--min-api", "1.49", "--min-build", "7"), "firmware-too-old"),
        ({"policy": "0x3200002f"}, (), None),
        ({"policy": "0x3201002f"}, (), "firmware-too-old"),
    ]
    for changes, words, code in cases:
        blob = compute(**changes).json["blob"]
        shown = verify(*words, reported=blob, **changes)
        if code is None:
            assert shown.status == 0
        else:
            assert (shown.status, shown.code) == (3, code)


def test_a_weak_policy_is_warned_of(compute, verify):
    shown = verify(reported=compute(policy="1").json["blob"], policy="1")
    assert shown.status == 0
    assert len(shown.json["warnings"]) == 4
    assert shown.err.count("warning: ") == 4


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tik": None}, "which-keys"),
        ({"tk": "tk.bin"}, "which-keys"),
        ({"policy": "x"}, "bad-policy"),
        ({"api": "1"}, "bad-api-version"),
        ({"api": "1.256"}, "bad-api-version"),
        ({"min-api": "x"}, "bad-api-version"),
        ({"min-build": "x"}, "bad-build"),
        ({"launch-digest": None}, "es-without-vcpus"),
        ({"launch-digest": None, "policy": "0x1100002b"}, "no-firmware"),
        ({"launch-digest": "22"}, "bad-hex"),
        ({"firmware": "f"}, "contradicting-options"),
        ({"initrd": "f"}, "contradicting-options"),
        ({"cmdline": "x"}, "contradicting-options"),
        ({"kernel-sha256": "x"}, "contradicting-options"),
        ({"cpu": "EPYC"}, "contradicting-options"),
        ({"sev-features": "0"}, "contradicting-options"),
    ],
    ids=str,
)
def test_usage_errors(verify, changes, code):
    shown = verify(**changes)
    assert (shown.status, shown.code) == (2, code)


def test_the_policy_decides_whether_vcpus_are_measured(verify, firmware):
    plain = {"launch-digest": None, "firmware": firmware}
    assert verify(**plain).code == "es-without-vcpus"
    with_vcpus = {**plain, "vcpus": "2", "cpu": "EPYC", "policy": "0x1100002b"}
    assert verify(**with_vcpus).code == "vcpus-without-es"


def test_keys_of_another_size_are_refused_without_showing_them(verify, tik):
    for size in (0, 1, 15, 17, 32, 5000):
        shown = verify(tik=tik("5e" * size, "odd.bin"))
        assert (shown.status, shown.error["details"]["field"]) == (6, "--tik")
        assert "5e5e" not in shown.out
    for size in (16, 31, 33):
        shown = verify(tik=None, tk=tik("5e" * size, "odd.bin"))
        assert (shown.status, shown.code) == (6, "bad-transport-key")


def test_a_nonce_has_16_bytes(compute):
    for nonce in ("", "00", NONCE + "00", NONCE[:-1], "zz" * 16):
        shown = compute(nonce=nonce)
        assert (shown.status, shown.code) == (2, "bad-hex")
    assert compute(nonce=NONCE.upper()).json["nonce"] == NONCE
