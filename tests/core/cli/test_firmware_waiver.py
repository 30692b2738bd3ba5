# SPDX-License-Identifier: Apache-2.0
"""``--waive-firmware``: firmware that is a NO-GO gets a secret for a typed reason alone."""

from __future__ import annotations

import pytest

from watchword.core.cli import firmware_options

from ..sev import firmware_maker as make
from .batch_support import SECRET

REASON = "a test bench"
WAIVED = ("--waive-firmware", REASON)
POLICY = "nodbg,noks,nosend,sev,min-api=0.17"


@pytest.fixture
def prompting(tmp_path):
    """An image whose GRUB asks at the console."""
    path = tmp_path / "prompting.fd"
    path.write_bytes(make.image(make.new_loader(), make.grub(make.PROMPTING)))
    return path


@pytest.fixture
def seal(command, tmp_path, prompting):
    """Seals for a VM with that firmware; words say what else."""
    (tmp_path / "keys").write_bytes(bytes(32))
    (tmp_path / "passphrase").write_bytes(b"hunter2 and more")
    version = ("--tk", tmp_path / "keys", "--api", "1.49", "--build", "6", "--policy", POLICY)
    out = tmp_path / "packet"

    def run(*words, image=prompting):
        measured = command(
            *("measurement", "compute", *version, "--nonce", "00" * 16, "--firmware", image),
            "--json",
        )
        shown = command(
            *("secret", "seal", *version, "--reported", measured.json["blob"]),
            *("--firmware", image, "--secret", f"disk-passphrase={tmp_path / 'passphrase'}"),
            *("--out", out, "--json", *words),
        )
        return shown, out

    return run


def test_nothing_is_sealed_for_a_prompting_grub(seal):
    refused, out = seal()
    assert (refused.status, refused.code) == (3, "firmware-refused")
    error = refused.json["error"]
    assert "a disk of its own" in error["message"]
    assert "--waive-firmware" in error["remedy"]
    assert not out.exists()


def test_a_waiver_is_told_by_the_exit_status_and_in_words(seal):
    waived, out = seal(*WAIVED)
    assert (waived.status, waived.json["ok"]) == (8, True)
    assert waived.json["waivers"] == {"firmware": REASON}
    assert any("a disk of its own" in text for text in waived.json["warnings"])
    assert (out / "header.bin").stat().st_size == 52


def test_a_reason_without_words_is_no_waiver(seal):
    refused, out = seal("--waive-firmware", " ")
    assert (refused.status, refused.code) == (2, "empty-waiver")
    assert not out.exists()


def test_fit_firmware_needs_no_waiver_and_tells_of_none(seal, tmp_path):
    fit = tmp_path / "fit.fd"
    fit.write_bytes(make.image(make.new_loader(), make.grub(make.SILENT)))
    shown, _ = seal(*WAIVED, image=fit)
    assert (shown.status, shown.json["waivers"]) == (0, {})


def test_a_rehearsal_with_an_image_of_ones_own_is_as_strict(command, prompting):
    words = ("rehearse", "--firmware", prompting, "--policy", POLICY, "--json")
    refused = command(*words)
    assert (refused.status, refused.code) == (3, "firmware-refused")
    waived = command(*words, *WAIVED)
    assert (waived.status, waived.json["secret_in_guest"]) == (8, True)
    assert waived.json["waivers"] == {"guest": f"firmware: {REASON}"}


def test_a_recorded_launch_is_refused_before_it_begins_and_waived_to_its_end(launches, prompting):
    launches.home.profile("asking", firmware=[{"path": str(prompting)}])
    refused = launches(*launches.order(guest="asking"))
    assert (refused.status, refused.code) == (3, "firmware-refused")
    assert launches("list").json["launches"] == []
    launch = launches.prepare(*WAIVED, guest="asking", status=8)
    assert f"firmware: {REASON}" in launches.say("show", launch).out


def test_attest_refuses_before_it_asks_the_host_and_sends_after_a_waiver(
    command, session, waiting_vm, prompting, folder
):
    (folder / "passphrase").write_bytes(SECRET)
    files = session()
    with waiting_vm(files, firmware=prompting.read_bytes()) as host:
        words = (
            *("attest", "--host", host.url, "--tek", files["tek"], "--tik", files["tik"]),
            *("--policy", "default", "--firmware", prompting, "--vcpus", "2"),
            *("--cpu", "EPYC-Milan", "--json"),
        )
        secret = f"--secret=disk-passphrase={folder / 'passphrase'}"
        refused = command(*words, secret)
        assert (refused.status, refused.code) == (3, "firmware-refused")
        assert host.host.view.data == b""
        assert command(*words, "--no-inject").status == 0
        waived = command(*words, secret, *WAIVED)
        assert (waived.status, waived.json["injected"]) == (8, True)
        assert waived.json["waivers"] == {"guest": f"firmware: {REASON}"}
        assert host.machine.memory.holds(SECRET)


def test_no_other_image_is_judged_than_the_one_that_is_expected(seal, monkeypatch):
    fit = make.image(make.new_loader(), make.grub(make.SILENT))
    monkeypatch.setattr(firmware_options, "read_file", lambda *words: fit)
    refused, out = seal()
    assert (refused.status, refused.code) == (6, "firmware-changed")
    assert not out.exists()
