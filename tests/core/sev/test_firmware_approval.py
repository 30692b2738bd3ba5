# SPDX-License-Identifier: Apache-2.0
"""Firmware with a NO-GO is given a secret only for a typed reason, and some for none."""

from __future__ import annotations

import pytest

from watchword.core.errors import UsageError, VerificationRefused
from watchword.core.sev.firmware_approval import approve_firmware
from watchword.core.sev.firmware_inspection import inspect_firmware

from . import firmware_maker as make

REASON = "a test bench"
FALLS_THROUGH = (make.old_loader(), make.grub(make.SILENT))
PROMPTS = (make.new_loader(), make.grub(make.PROMPTING))
KEYED = (make.new_loader(), make.grub("cryptomount -s\ncryptomount -a -k (memdisk)/key\n"))
FINE = (make.new_loader(), make.grub(make.SILENT))
UNCHECKED = (make.module(make.LOADER, b"MZ"), make.grub(make.SILENT))


def approve(*images, kernel_hashes=True, waiver=None):
    seen = [(f"image {n}", inspect_firmware(one).findings) for n, one in enumerate(images)]
    return approve_firmware(seen, kernel_hashes=kernel_hashes, waiver=waiver)


def refused(*images, **options):
    with pytest.raises(VerificationRefused) as caught:
        approve(*images, **options)
    assert (caught.value.code, caught.value.exit_status) == ("firmware-refused", 3)
    return caught.value


def test_firmware_that_halts_and_asks_nobody_needs_no_waiver():
    approved = approve(make.image(*FINE), waiver=REASON)
    assert (approved.waiver, approved.warnings) == (None, ())


@pytest.mark.parametrize(
    ("modules", "kernel_hashes", "code", "words"),
    [
        (FALLS_THROUGH, True, "hash-mismatch-falls-through", "serve another one"),
        (PROMPTS, True, "grub-prompts", "a disk of its own"),
        (KEYED, False, "grub-opens-by-another-key", "a disk that this key opens"),
        (PROMPTS, False, "grub-prompts", "reads the secrets that are left"),
    ],
)
def test_a_no_go_is_refused_and_can_be_waived(modules, kernel_hashes, code, words):
    image = make.image(*modules)
    error = refused(image, kernel_hashes=kernel_hashes)
    assert error.details["findings"] == [code]
    assert words in error.message
    assert "--waive-firmware" in error.remedy
    approved = approve(image, kernel_hashes=kernel_hashes, waiver=f" {REASON} ")
    assert approved.waiver == REASON
    assert words in approved.warnings[0]


def test_what_becomes_of_a_wrong_kernel_is_no_matter_where_none_is_measured():
    approved = approve(make.image(*FALLS_THROUGH), kernel_hashes=False, waiver=REASON)
    assert (approved.waiver, approved.warnings) == (None, ())


def test_hashes_that_nobody_checks_can_not_be_waived():
    error = refused(make.image(*UNCHECKED), waiver=REASON)
    assert error.details["findings"] == ["hashes-not-checked"]
    assert "--waive-firmware" not in error.remedy
    assert approve(make.image(*UNCHECKED), kernel_hashes=False).waiver is None


def test_one_image_of_several_is_enough_because_the_host_chooses():
    error = refused(make.image(*FINE), make.image(*PROMPTS))
    assert error.message.startswith("image 1: ")


@pytest.mark.parametrize("reason", ["", " ", "ok", "two\nlines"])
def test_a_waiver_takes_a_reason_that_can_be_read(reason):
    with pytest.raises(UsageError) as caught:
        approve(make.image(*PROMPTS), waiver=reason)
    assert caught.value.code == "empty-waiver"


@pytest.mark.parametrize(
    ("image", "warned"),
    [
        (make.image(make.new_loader(), make.grub("no script")), "its script can't be seen"),
        (make.image(make.loader(b""), make.grub(make.SILENT)), "can't be seen"),
        (
            make.volume(make.file(make.OTHER, make.guided(make.OTHER, bytes(40))))
            + make.tail(*make.AMDSEV),
            "Whether there is a GRUB in it can't be seen",
        ),
    ],
)
def test_what_can_not_be_seen_is_a_warning(image, warned):
    approved = approve(image)
    assert approved.waiver is None
    assert any(warned in text for text in approved.warnings)
