# SPDX-License-Identifier: Apache-2.0
"""Firmware descriptors found in QEMU's order of preference, and judged against their images."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from watchword.core.errors import BadInput
from watchword.core.files import read_file
from watchword.core.handover import firmware_descriptors
from watchword.core.handover.firmware_descriptors import (
    DescriptorVerdict,
    find_descriptors,
    installed_images,
    judge_installed,
    standard_folders,
)
from watchword.core.sev.firmware_inspection import inspect_firmware
from watchword.core.simulator import FirmwareRecipe, build_firmware


@pytest.fixture
def folders(tmp_path):
    found = [tmp_path / name for name in ("usr", "etc", "home")]
    for folder in found:
        folder.mkdir()
    return found


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "OVMF.fd"
    path.write_bytes(build_firmware())
    return path


@pytest.fixture
def calls():
    return []


@pytest.fixture
def judge(folders, calls):
    def inspect(path, field):
        calls.append(path)
        return inspect_firmware(read_file(path, field, 1 << 20), field)

    return lambda: judge_installed(folders, inspect)


def describe(folder, name, image, **changes):
    value = {
        "description": name,
        "mapping": {"device": "memory", "filename": str(image)},
        "targets": [{"architecture": "x86_64", "machines": []}],
        "features": ["amd-sev", "amd-sev-es"],
        **changes,
    }
    (folder / name).write_text(json.dumps(value))


# -- where they are ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "last"),
    [
        ({"XDG_CONFIG_HOME": "/cfg"}, "/cfg/qemu/firmware"),
        ({"HOME": "/home/me"}, "/home/me/.config/qemu/firmware"),
        ({"HOME": "/home/me", "XDG_CONFIG_HOME": "relative"}, "/home/me/.config/qemu/firmware"),
    ],
)
def test_the_folders_are_qemus(environment, last):
    assert standard_folders(environment) == (
        Path("/usr/share/qemu/firmware"),
        Path("/etc/qemu/firmware"),
        Path(last),
    )


def test_they_are_sorted_by_name_over_all_folders(folders, image):
    usr, etc, home = folders
    for folder, name in ((usr, "50-a.json"), (etc, "20-b.json"), (home, "30-c.json")):
        describe(folder, name, image)
    (usr / "10-readme.txt").write_text("not one")
    names = [found.path.name for found in find_descriptors(folders)]
    assert names == ["20-b.json", "30-c.json", "50-a.json"]


def test_a_more_specific_folder_takes_the_place(folders, image):
    for folder in folders:
        describe(folder, "50-a.json", image)
    [found] = find_descriptors(folders)
    assert found.path == folders[2] / "50-a.json"
    assert found.hides == (folders[1] / "50-a.json", folders[0] / "50-a.json")


def test_folders_that_are_not_there_are_empty(tmp_path):
    (tmp_path / "file").write_text("")
    assert find_descriptors([tmp_path / "gone", tmp_path / "file"]) == ()


def test_a_folder_full_of_files_is_refused(folders, monkeypatch):
    monkeypatch.setattr(firmware_descriptors, "_FILES_MAX", 3)
    for number in range(4):
        (folders[0] / f"{number}.json").touch()
    with pytest.raises(BadInput) as refusal:
        find_descriptors(folders)
    assert refusal.value.code == "too-many-descriptors"


# -- what comes of them ------------------------------------------------------------------


def test_an_image_that_keeps_the_promises_is_go(folders, image, judge):
    describe(folders[0], "60.json", image)
    [judged] = judge()
    assert (judged.verdict, judged.problems) == (DescriptorVerdict.GO, ())
    assert judged.inspection.image.size == image.stat().st_size


def test_a_claim_with_an_area_of_zero_is_no_go_and_said_once(folders, tmp_path, judge):
    stock = tmp_path / "stock.fd"
    stock.write_bytes(build_firmware(FirmwareRecipe(secret_area=None)))
    describe(folders[0], "50.json", stock, features=["amd-sev"])
    [judged] = judge()
    assert judged.verdict is DescriptorVerdict.NO_GO
    assert [problem.startswith("Claims amd-sev, ") for problem in judged.problems] == [True]


def test_an_image_is_inspected_once(folders, image, judge, calls):
    for name in ("1.json", "2.json"):
        describe(folders[0], name, image)
        describe(folders[0], f"x{name}", "/nonexistent/image.fd")
    assert len(judge()) == 4
    assert calls == [str(image), "/nonexistent/image.fd"]


def test_an_empty_file_hides_others(folders, image, judge):
    describe(folders[0], "50.json", image)
    (folders[1] / "50.json").touch()
    [judged] = judge()
    assert (judged.verdict, judged.descriptor) == (DescriptorVerdict.OTHER, None)
    assert judged.hides == (folders[0] / "50.json",)


def test_firmware_for_other_machines_is_left_alone(folders, image, judge, calls):
    arm = [{"architecture": "aarch64", "machines": ["virt-*"]}]
    describe(folders[0], "50.json", image, targets=arm)
    [judged] = judge()
    assert (judged.verdict, calls) == (DescriptorVerdict.OTHER, [])


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"device": "kernel", "filename": "/x"}, "like a kernel"),
        ({"device": "memory", "filename": "x.fd"}, "start at the root"),
        (
            {"device": "flash", "executable": {"filename": "/x", "format": "qcow2"}},
            "format qcow2",
        ),
        ({"device": "memory", "filename": "/nonexistent/x.fd"}, "there is no such file"),
        ({"device": "memory", "filename": "/dev/null"}, "a device"),
        ({"device": "memory", "filename": "/"}, "a folder"),
    ],
)
def test_an_image_that_can_not_be_inspected_is_no_go_in_words(folders, judge, mapping, words):
    describe(folders[0], "50.json", "/x", mapping=mapping)
    [judged] = judge()
    assert judged.verdict is DescriptorVerdict.NO_GO
    assert words in judged.problems[0]
    assert judged.inspection is None


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100, b" " * (70 << 10), b"[]"])
def test_a_file_that_is_no_descriptor_is_no_go_and_the_others_are_judged(
    folders, image, judge, content
):
    (folders[0] / "10.json").write_bytes(content)
    describe(folders[0], "20.json", image)
    bad, good = judge()
    assert (bad.verdict, bad.descriptor) == (DescriptorVerdict.NO_GO, None)
    assert bad.problems
    assert good.verdict is DescriptorVerdict.GO


def test_a_descriptor_that_is_a_pipe_is_not_waited_for(folders, judge):
    os.mkfifo(folders[0] / "50.json")
    [judged] = judge()
    assert "pipe" in judged.problems[0]


def test_the_images_at_hand_are_those_that_can_be_used_each_once(folders, image, tmp_path):
    broken = tmp_path / "broken.fd"
    broken.write_bytes(b"no multiple of 4096")
    describe(folders[0], "10-good.json", image)
    describe(folders[1], "20-the-same.json", image)
    describe(folders[0], "30-broken.json", broken)
    describe(folders[0], "40-gone.json", tmp_path / "gone.fd")
    kernel = {"device": "kernel", "filename": str(image)}
    describe(folders[0], "50-kernel.json", image, mapping=kernel)
    (folders[0] / "60-nonsense.json").write_text("[")
    (folders[0] / "70-hides.json").write_text("")
    ((path, found),) = installed_images(folders)
    assert path == str(image)
    assert found.sha256 == hashlib.sha256(image.read_bytes()).digest()
