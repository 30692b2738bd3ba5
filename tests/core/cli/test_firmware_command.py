# SPDX-License-Identifier: Apache-2.0
"""``watchword firmware``: inspections and the list of installed firmware, in words and JSON."""

from __future__ import annotations

import hashlib
import json

import pytest

from watchword.core.simulator import FirmwareRecipe, build_firmware


@pytest.fixture
def stock(tmp_path):
    """An image without areas."""
    path = tmp_path / "stock.fd"
    path.write_bytes(build_firmware(FirmwareRecipe(secret_area=None, hash_area=None)))
    return path


@pytest.fixture
def descriptors(tmp_path, firmware, stock):
    """A folder with a descriptor that keeps its promises and one that does not."""
    folder = tmp_path / "descriptors"
    folder.mkdir()
    for name, image in (("50-good.json", firmware), ("60-bad.json", stock)):
        value = {
            "description": name,
            "mapping": {"device": "memory", "filename": str(image)},
            "targets": [{"architecture": "x86_64", "machines": []}],
            "features": ["amd-sev", "amd-sev-es"],
        }
        (folder / name).write_text(json.dumps(value))
    return folder


def test_one_image_has_its_fields_at_the_top(command, firmware):
    shown = command("firmware", "inspect", firmware, "--json")
    assert (shown.status, shown.err) == (0, "")
    found = shown.json
    data = firmware.read_bytes()
    assert list(found) == [
        "ok",
        "file",
        "verdict",
        "reasons",
        "size",
        "sha256",
        "layout",
        "has_table",
        "entries",
        "reset_address",
        "secret_area",
        "hash_area",
        "reset_vector",
        "metadata",
        "tdx",
        "igvm",
        "svsm",
        "contents",
        "hash_mismatch",
        "grub",
        "capabilities",
        "findings",
    ]
    assert found["file"] == str(firmware)
    assert (found["size"], found["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert (found["verdict"], found["reasons"]) == ("GO", [])
    assert found["secret_area"] == {"base": 0x810000, "size": 0xC00}
    assert found["reset_vector"] == {"bytes": "f4" * 16, "plausible": False}
    names = ["secret injection", "kernel hashes", "SEV-ES", "SEV-SNP"]
    assert [item["name"] for item in found["capabilities"]] == names
    assert [item["verdict"] for item in found["capabilities"]] == ["GO", "GO", "GO", "NO-GO"]


def test_several_images_are_a_list(command, firmware, stock):
    found = command("firmware", "inspect", firmware, stock, "--json").json
    assert [image["verdict"] for image in found["images"]] == ["GO", "NO-GO"]
    assert found["images"][0]["file"] == str(firmware)


def test_the_words_end_in_a_verdict(command, firmware, stock):
    shown = command("firmware", "inspect", firmware, stock)
    assert shown.status == 0
    assert "GO      secret injection: 3072 bytes at 0x810000." in shown.out
    assert "  secret area   0x810000, 3072 bytes" in shown.out
    assert "warning Its last 16 bytes are no jump" in shown.out
    assert "\nGO: a secret can be handed" in shown.out
    assert "\nNO-GO: no secret should be handed" in shown.out


def test_a_file_that_is_no_firmware_is_named(command, firmware, tmp_path):
    bad = tmp_path / "bad.fd"
    bad.write_bytes(b"x" * 1000)
    shown = command("firmware", "inspect", firmware, bad, "--json")
    assert (shown.status, shown.code) == (6, "firmware-size")
    assert str(bad) in shown.error["title"]


def test_a_real_image_shows_its_metadata_and_contents(command, vectors):
    path = vectors / "firmware" / "OVMF_CODE.fd"
    found = command("firmware", "inspect", path, "--json").json
    assert len(found["metadata"]["sections"]) == 5
    assert found["metadata"]["sections"][0] == {"type": "SEC_MEM", "base": 0x800000, "size": 0x9000}
    assert found["contents"]["modules"] == 127
    assert (found["layout"], found["hash_mismatch"], found["grub"]) == ("code", "unchecked", "none")
    assert (found["tdx"], found["igvm"], found["svsm"]) == (True, False, False)
    shown = command("firmware", "inspect", path)
    assert "  metadata SECRETS  0x80d000, 4096 bytes" in shown.out


# -- list --------------------------------------------------------------------------------


def test_installed_firmware_is_listed_and_judged(command, descriptors, firmware):
    found = command("firmware", "list", "--descriptors", descriptors, "--json").json
    assert found["folders"] == [str(descriptors)]
    good, bad = found["firmware"]
    assert list(good) == [
        "descriptor",
        "hides",
        "verdict",
        "problems",
        "description",
        "file",
        "device",
        "stateless",
        "features",
        "sha256",
        "capabilities",
    ]
    assert (good["verdict"], good["problems"], good["stateless"]) == ("GO", [], True)
    assert good["sha256"] == hashlib.sha256(firmware.read_bytes()).hexdigest()
    assert bad["verdict"] == "NO-GO"
    assert bad["problems"][0].startswith("Claims amd-sev, but")


def test_the_list_in_words(command, descriptors, firmware, tmp_path):
    over = tmp_path / "over"
    over.mkdir()
    (over / "60-bad.json").touch()
    folders = ("--descriptors", descriptors, "--descriptors", over)
    shown = command("firmware", "list", *folders)
    assert (shown.status, shown.err) == (0, "")
    assert f"GO      {descriptors / '50-good.json'}: {firmware}" in shown.out
    assert "          claims amd-sev, amd-sev-es" in shown.out
    assert f"other   {over / '60-bad.json'}: no image" in shown.out
    assert f"          takes the place of {descriptors / '60-bad.json'}" in shown.out


def test_without_descriptors_the_folders_are_named(command, tmp_path):
    shown = command("firmware", "list", "--descriptors", tmp_path)
    assert shown.out.splitlines()[0] == f"No firmware descriptors in {tmp_path}."


def test_the_standard_folders_are_looked_into(command, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = command("firmware", "list", "--json").json
    assert found["folders"][-1] == str(tmp_path / "qemu" / "firmware")
