# SPDX-License-Identifier: Apache-2.0
"""``secret seal``: nothing without a right measurement, and packets that open on the other side."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from uuid import UUID

import pytest

from ..sev.firmware_side import open_packet
from .support import DISK, modes, parse_table

TEK, TIK = b"tek of 16 bytes.", b"tik of 16 bytes."
DIGEST = "22" * 32
NONCE = "c14d9fce32ed65af0270847400376f4e"
FILES = ["header.b64", "header.bin", "payload.b64", "payload.bin"]
UNSEEN = (
    "Whether the firmware is fit to be given a secret can't be seen: there is no image of it here"
    " (--firmware)."
)
OWN = UUID("0b6ba5e8-5b3d-4d0d-a0f0-6d1d0a3b9f11")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "packet"


@pytest.fixture
def tools(tmp_path):
    """Files: tek, tik, and secrets by name."""
    contents = {"tek": TEK, "tik": TIK, "passphrase": b"hunter2 and more", "other": b"\0\xff\n"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.fixture
def reported(command, tools):
    """What an honest host reports for a launch, and the 32 bytes of its measurement."""

    def measure(digest=("--launch-digest", DIGEST), policy="default"):
        made = command(
            *("measurement", "compute", "--tik", tools / "tik", "--api", "1.49", "--build", "6"),
            *("--policy", policy, "--nonce", NONCE, *digest, "--json"),
        ).json
        return made["blob"], bytes.fromhex(made["measurement"])

    return measure


@pytest.fixture
def seal(command, tools, reported, out):
    """Seals for a VM that was measured rightly, unless the words say otherwise."""

    def run(*words, digest=("--launch-digest", DIGEST), policy="default", blob=None):
        return command(
            *("secret", "seal", "--tek", tools / "tek", "--tik", tools / "tik", "--api", "1.49"),
            *("--build", "6", "--policy", policy, *digest, "--out", out, "--json"),
            *("--reported", blob or reported(digest, policy)[0], *words),
        )

    return run


@pytest.fixture
def opened(reported, out):
    """The secrets in the packet that was written, as a guest finds them."""

    def read(**launch):
        header, payload = ((out / f"{name}.bin").read_bytes() for name in ("header", "payload"))
        for name, data in (("header", header), ("payload", payload)):
            text = (out / f"{name}.b64").read_bytes()
            assert base64.b64decode(text, validate=True) == data
        return parse_table(open_packet(TEK, TIK, reported(**launch)[1], header, payload))

    return read


def test_a_packet_opens_on_the_other_side(seal, opened, tools, out):
    shown = seal("--secret", f"disk-passphrase={tools / 'passphrase'}")
    assert (shown.status, shown.err) == (0, f"warning: {UNSEEN}\n")
    assert opened() == {DISK: b"hunter2 and more\0"}
    assert modes(out) == dict.fromkeys(FILES, 0o600)
    assert out.stat().st_mode & 0o777 == 0o700


def test_the_json_tells_what_was_sealed_and_for_whom(seal, tools, out):
    made = seal("--secret", f"disk-passphrase={tools / 'passphrase'}").json
    assert made == {
        "ok": True,
        "verdict": "matches",
        "platform": "not-checked-here",
        "policy": 0x1100002F,
        "launch_digest": DIGEST,
        "route": "grub",
        "secrets": [
            {
                "name": "disk-passphrase",
                "guid": str(DISK),
                "size": 17,
                "trailing_nul_added": True,
                "ends_with_newline": False,
                "test": False,
            }
        ],
        "files": {name: str(out / name) for name in sorted(FILES, key=FILES.index)},
        "waivers": {},
        "warnings": [UNSEEN],
    }


def test_several_secrets_travel_in_one_packet(seal, opened, tools):
    words = [f"--secret={name}={tools / 'other'}" for name in ("offline-kbc", OWN)]
    shown = seal(*words, "--secret", f"luks-key={tools / 'passphrase'}")
    assert shown.status == 0
    assert opened() == {
        UUID("e6f5a162-d67f-4750-a67c-5d065f2a9910"): b"\0\xff\n",
        OWN: b"\0\xff\n",
        DISK: b"hunter2 and more\0",
    }


@pytest.mark.parametrize(
    ("words", "route", "data"),
    [
        ((), "grub", b"hunter2 and more\0"),
        (("--route", "grub"), "grub", b"hunter2 and more\0"),
        (("--route", "kernel"), "kernel", b"hunter2 and more"),
    ],
)
def test_a_nul_is_added_for_grub_alone(seal, opened, tools, words, route, data):
    shown = seal("--secret", f"disk-passphrase={tools / 'passphrase'}", *words)
    assert (shown.json["route"], opened()[DISK]) == (route, data)
    [note] = shown.json["secrets"]
    assert (note["size"], note["trailing_nul_added"]) == (len(data), route == "grub")


def test_a_measured_kernel_means_the_kernel_route(seal, opened, tools, firmware):
    digest = ("--firmware", firmware, "--kernel-sha256", "11" * 32, "--vcpus", "1", "--cpu", "EPYC")
    shown = seal("--secret", f"disk-passphrase={tools / 'passphrase'}", digest=digest)
    assert (shown.status, shown.json["route"]) == (0, "kernel")
    assert opened(digest=digest)[DISK] == b"hunter2 and more"


def test_a_passphrase_that_has_its_nul_gets_no_second_one(seal, opened, tools):
    (tools / "passphrase").write_bytes(b"with nul\0")
    assert seal("--secret", f"disk-passphrase={tools / 'passphrase'}").status == 0
    assert opened()[DISK] == b"with nul\0"


def test_only_the_disk_passphrase_gets_a_nul(seal, opened, tools):
    assert seal("--secret", f"{OWN}={tools / 'passphrase'}").status == 0
    assert opened()[OWN] == b"hunter2 and more"


def test_each_packet_has_an_iv_of_its_own(seal, tools, out):
    headers = set()
    for _ in range(3):
        assert seal("--secret", f"{OWN}={tools / 'passphrase'}").status == 0
        headers.add((out / "header.bin").read_bytes()[4:20])
        for path in out.iterdir():
            path.unlink()
    assert len(headers) == 3


def test_the_packets_of_sevctl(vectors, command, tmp_path, monkeypatch):
    """Byte for byte, with its fixed IV; its measurement is given, not computed."""
    from watchword.core.cli import secret_command
    from watchword.core.sev import measurement

    everything = json.loads((vectors / "sevctl.json").read_text())
    iv = (vectors / everything["iv"]).read_bytes()
    blob = base64.b64decode(everything["launch_measure_blob_for_secrets"])
    monkeypatch.setattr(secret_command.os, "urandom", lambda size: iv[:size])
    monkeypatch.setattr(measurement, "compute_measurement", lambda *arguments: blob[:32])
    agreed = 0
    for number, row in enumerate(everything["secrets"]):
        names = [f"{secret['guid']}={vectors / secret['file']}" for secret in row["secrets"]]
        if row["secrets"][0]["size"] == 0:  # a guest would see an empty secret
            continue
        out = tmp_path / str(number)
        shown = command(
            *("secret", "seal", "--json", "--route", "kernel", "--out", out),
            *("--tek", vectors / everything["tek"], "--tik", vectors / everything["tik"]),
            *("--api", "1.49", "--build", "6", "--policy", "default", "--launch-digest", DIGEST),
            *("--reported", everything["launch_measure_blob_for_secrets"]),
            *(f"--secret={name}" for name in names),
        )
        assert shown.status == 0
        assert (out / "header.bin").read_bytes().hex() == row["header_hex"]
        agreed += 1
    assert agreed == 6


# -- refusals ----------------------------------------------------------------------


@pytest.fixture
def refused(seal, tools, out):
    """A refusal after which there is no folder, no file, and no word of the secret."""

    def run(*words, status=3, **launch):
        words = words or (f"--secret=disk-passphrase={tools / 'passphrase'}",)
        shown = seal(*words, **launch)
        assert shown.status == status, shown.out
        assert not out.exists()
        assert "hunter2" not in shown.out + shown.err
        return shown.code

    return run


def test_nothing_is_sealed_for_a_wrong_measurement(refused, reported, tools):
    other = ("--launch-digest", "23" * 32)
    assert refused(blob=reported(other)[0]) == "measurement-mismatch"
    assert refused(blob=reported(policy="0x1100002b")[0]) == "measurement-mismatch"
    (tools / "tik").write_bytes(TEK)
    assert refused(blob=base64.b64encode(bytes(48)).decode()) == "measurement-mismatch"


def test_the_secret_is_not_even_read_for_a_wrong_measurement(refused):
    words = ("--secret", "disk-passphrase=/nowhere/at/all")
    assert refused(*words, blob=base64.b64encode(bytes(48)).decode()) == "measurement-mismatch"
    assert refused(*words, status=6) == "file-missing"


def test_a_weak_policy_is_refused_and_can_be_waived(refused, seal, tools):
    assert refused(policy="1") == "policy-refused"
    words = (f"--secret=disk-passphrase={tools / 'passphrase'}", "--waive-policy", "a test bench")
    waived = seal(*words, policy="1")
    assert (waived.status, waived.json["ok"]) == (8, True)
    assert waived.json["waivers"] == {"policy": "a test bench"}
    assert len(waived.json["warnings"]) == waived.err.count("warning: ") == 5


def test_a_reason_without_words_is_no_waiver(refused, tools):
    word = f"--secret=disk-passphrase={tools / 'passphrase'}"
    assert refused(word, "--waive-policy", " ", policy="1", status=2) == "empty-waiver"


def test_a_packet_is_never_overwritten(seal, tools, out):
    word = f"--secret=disk-passphrase={tools / 'passphrase'}"
    assert seal(word).status == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    again = seal(word)
    assert (again.status, again.code) == (6, "file-exists")
    assert "byte for byte" in again.error["remedy"]
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("failing", range(4))
def test_nothing_is_left_when_writing_fails_half_way(refused, monkeypatch, failing):
    from watchword.core.cli import new_files
    from watchword.core.errors import BadInput

    genuine, written = new_files.write_file, []

    def write_file(path, data, **options):
        if len(written) == failing:
            raise BadInput("file-not-written", "--out", "The disk is full.", "Make room.")
        written.append(path)
        genuine(path, data, **options)

    monkeypatch.setattr(new_files, "write_file", write_file)
    assert refused(status=6) == "file-not-written"
    assert len(written) == failing


def test_firmware_without_room_for_secrets_gets_none(vectors, refused):
    firmware = vectors / "firmware" / "OVMF_CODE.fd"
    digest = ("--firmware", firmware, "--vcpus", "2", "--cpu", "EPYC")
    code = refused(digest=digest, status=6)
    assert code == "firmware-without-secret-area"


def test_what_the_firmwares_area_cant_hold_is_refused(refused, seal, tools, firmware, out):
    digest = ("--firmware", firmware, "--vcpus", "2", "--cpu", "EPYC")
    (tools / "large").write_bytes(b"l" * (3072 - 40 + 1))
    assert refused(f"--secret={OWN}={tools / 'large'}", digest=digest, status=6) == "bad-secrets"
    (tools / "large").write_bytes(b"l" * (3072 - 40))
    assert seal(f"--secret={OWN}={tools / 'large'}", digest=digest).status == 0
    assert len((out / "payload.bin").read_bytes()) == 3072


def test_without_the_firmware_kvms_limit_holds(refused, seal, tools):
    (tools / "large").write_bytes(b"l" * (16384 - 39))
    assert refused(f"--secret={OWN}={tools / 'large'}", status=6) == "bad-secrets"
    (tools / "large").write_bytes(b"l" * (16384 - 40))
    assert seal(f"--secret={OWN}={tools / 'large'}").status == 0


def test_the_same_guid_twice_is_refused(refused, tools):
    words = [f"--secret={name}={tools / 'other'}" for name in ("disk-passphrase", "luks-key")]
    assert refused(*words, status=6) == "bad-secrets"
    words = [f"--secret={name}={tools / 'other'}" for name in (OWN, str(OWN).upper())]
    assert refused(*words, status=6) == "bad-secrets"


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("--secret=disk-passphrase", "bad-secret-option"),
        ("--secret=disk-passphrase=", "bad-secret-option"),
        ("--test-secret=x", "bad-secret-option"),
        ("--secret==file", "bad-secret-name"),
        ("--secret=passphrase=file", "bad-secret-name"),
        ("--secret=00000000-0000-0000-0000-000000000000=file", "bad-secret-name"),
        ("--secret=1e74f542-71dd-4d66-963e-ef4287ff173b=file", "bad-secret-name"),
        ("--waive-policy=none needed", "no-secret"),
    ],
)
def test_options_are_judged_before_anything_else(refused, word, code):
    # Even where the measurement is wrong: what was typed is what can be mended first.
    assert refused(word, status=2, blob=base64.b64encode(bytes(48)).decode()) == code


# -- platforms ---------------------------------------------------------------------


def test_a_named_platform_is_verified_first(seal, refused, tools, fake):
    word = f"--secret=disk-passphrase={tools / 'passphrase'}"
    chain = ("--platform", *fake.values())
    assert refused(word, *chain) == "chain-refused"
    trusting = (*chain, "--trust-root", fake["ark"])
    assert refused(word, *trusting) == "platform-not-proven"
    marked = seal(f"--test-secret=disk-passphrase={tools / 'passphrase'}", *trusting)
    assert (marked.status, marked.json["platform"]) == (0, "foreign-root")
    assert marked.json["secrets"][0]["test"] is True
    assert "not AMD's" in marked.err


def test_a_real_platform_may_have_real_secrets(seal, tools, naples):
    word = f"--secret=disk-passphrase={tools / 'passphrase'}"
    shown = seal(word, "--platform", *naples.values(), "--oca", naples["oca"])
    assert (shown.status, shown.json["platform"]) == (0, "verified")
    assert any("extracted" in warning for warning in shown.json["warnings"])


def test_the_owner_ca_that_is_pinned_counts_here_too(refused, tools, naples, fake):
    word = f"--secret=disk-passphrase={tools / 'passphrase'}"
    chain = ("--platform", *naples.values(), "--oca", fake["oca"])
    assert refused(word, *chain) == "chain-refused"


def test_trust_without_a_platform_is_no_trust_at_all(refused, tools, fake):
    word = f"--secret=disk-passphrase={tools / 'passphrase'}"
    for words in (("--oca", fake["oca"]), ("--trust-root", fake["ark"])):
        assert refused(word, *words, status=2) == "no-platform"


def test_the_words_name_files_and_secrets_and_no_more(command, seal, tools, reported, out):
    seal_words = ("--secret", f"disk-passphrase={tools / 'passphrase'}")
    shown = command(
        *("secret", "seal", "--tek", tools / "tek", "--tik", tools / "tik", "--api", "1.49"),
        *("--build", "6", "--policy", "default", "--launch-digest", DIGEST, "--out", out),
        *("--reported", reported()[0], *seal_words),
    )
    assert shown.status == 0
    assert (
        "Platform: not-checked-here; whether the keys were made for it can't be seen." in shown.out
    )
    assert f"disk-passphrase ({DISK}): 17 bytes, a NUL added for GRUB" in shown.out
    assert all(str(out / name) in shown.out for name in FILES)
    assert not any(key.decode() in shown.out for key in (TEK, TIK, b"hunter2"))
    assert Path(out / "header.bin").stat().st_size == 52
