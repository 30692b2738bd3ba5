# SPDX-License-Identifier: Apache-2.0
"""The simulator's own readers and builders of what goes into a guest."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import UsageError
from watchword.core.simulator import FirmwareRecipe, MemoryArea, build_firmware
from watchword.core.simulator.firmware_footer import FirmwareAreas, read_footer
from watchword.core.simulator.guest_memory import GuestMemory
from watchword.core.simulator.kernel_table import kernel_table
from watchword.core.simulator.lenient_base64 import lenient_decode
from watchword.core.simulator.save_area import BOOT_RESET_ADDRESS, SaveAreaKind, save_area

areas = st.one_of(
    st.none(),
    st.builds(MemoryArea, st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF)),
)


class TestFirmware:
    def test_the_default_declares_everything(self):
        assert read_footer(build_firmware()) == FirmwareAreas(
            0x80B004, MemoryArea(0x810000, 0xC00), MemoryArea(0x810C00, 0x400)
        )

    @given(reset=st.one_of(st.none(), st.integers(0, 0xFFFFFFFF)), secret=areas, hashes=areas)
    def test_what_was_built_in_is_read_back(self, reset, secret, hashes):
        recipe = FirmwareRecipe(
            size=4096, reset_address=reset, secret_area=secret, hash_area=hashes
        )
        assert read_footer(build_firmware(recipe)) == FirmwareAreas(reset, secret, hashes)

    def test_the_same_seed_makes_the_same_image(self):
        assert build_firmware() == build_firmware()
        assert len(build_firmware()) == 65536
        other = build_firmware(FirmwareRecipe(seed="other"))
        assert other != build_firmware()
        assert other[-32:] == build_firmware()[-32:]

    def test_without_a_footer_there_is_nothing(self):
        image = build_firmware(FirmwareRecipe(footer=False))
        assert read_footer(image) == FirmwareAreas(None, None, None)

    def test_an_image_too_small_for_its_table_is_refused(self):
        with pytest.raises(UsageError, match="has 64"):
            build_firmware(FirmwareRecipe(size=64))

    @pytest.mark.parametrize(
        ("name", "reset", "secret", "hashes"),
        [
            ("firmware/OVMF_CODE.fd", 0x80B004, (0, 0), (0, 0)),
            ("firmware/OVMF_CODE_4M.fd", 0x808004, (0, 0), (0, 0)),
            (
                "inputs/OVMF.amdsev.fd_trimmed_edk2-ovmf-20220126gitbb1bba3d77-4.el9",
                0x80B004,
                (0x80C000, 0xC00),
                (0x80CC00, 0x400),
            ),
        ],
    )
    def test_real_images_are_read(self, vectors: Path, name, reset, secret, hashes):
        found = read_footer((vectors / name).read_bytes())
        assert found == FirmwareAreas(reset, MemoryArea(*secret), MemoryArea(*hashes))

    def test_old_images_carry_the_reset_block_alone(self):
        image = build_firmware(FirmwareRecipe(secret_area=None, hash_area=None))
        old = image[:-50] + image[-32:]  # without the footer entry, the reset block comes last
        assert read_footer(old) == FirmwareAreas(0x80B004, None, None)

    @given(st.binary(max_size=300), st.integers(0, 200))
    def test_any_bytes_are_read_without_harm(self, noise: bytes, cut: int):
        read_footer(noise)
        image = build_firmware(FirmwareRecipe(size=4096))
        read_footer(image[: -32 - cut] + noise + image[-50:])
        read_footer(image[-cut:])

    def test_a_table_longer_than_the_image_counts_as_none(self):
        image = bytearray(build_firmware(FirmwareRecipe(size=4096)))
        image[-50:-48] = (0xFFFF).to_bytes(2, "little")
        assert read_footer(bytes(image)) == FirmwareAreas(None, None, None)


class TestSaveArea:
    @pytest.mark.parametrize(
        ("name", "signature"),
        [("EPYC", 0x800F12), ("EPYC-Rome", 0x830F10), ("EPYC-Milan", 0xA00F11)],
    )
    def test_legacy_pages_are_those_of_sevctl(self, vectors: Path, name: str, signature: int):
        boot = (vectors / f"vmsa/vmsa_{name}_cpu0.bin").read_bytes()
        assert save_area(BOOT_RESET_ADDRESS, signature) == boot
        others = {path.read_bytes() for path in (vectors / "vmsa").glob(f"vmsa_{name}_cpu1_*")}
        made = {save_area(reset, signature) for reset in (0x80B004, 0x808004)}
        assert made <= others

    def test_the_newer_kind_presets_the_floating_point_unit(self):
        old, new = (save_area(0x80B004, 0xA00F11, kind) for kind in SaveAreaKind)
        changed = [at for at in range(4096) if old[at] != new[at]]
        assert changed == [0x408, 0x409, 0x410, 0x411]

    def test_sev_features_are_written(self):
        assert save_area(0x80B004, 0xA00F11, sev_features=0x20)[0x3B0] == 0x20


class TestKernelTable:
    def test_it_is_padded_and_depends_on_every_part(self):
        base = kernel_table(b"k", b"i", "c")
        assert len(base) == 176
        assert base[168:] == bytes(8)
        others = {kernel_table(b"K", b"i", "c"), kernel_table(b"k", b"I", "c")}
        others |= {kernel_table(b"k", b"i", "c "), kernel_table(b"k", b"", "")}
        assert len(others) == 4
        assert base not in others


class TestLenientBase64:
    @given(st.binary(max_size=100))
    def test_right_base64_is_decoded(self, data: bytes):
        assert lenient_decode(base64.b64encode(data)) == data
        assert lenient_decode(base64.encodebytes(data)) == data

    @given(st.binary(max_size=100))
    def test_any_bytes_are_decoded_to_something(self, text: bytes):
        assert len(lenient_decode(text)) <= len(text)

    @pytest.mark.parametrize(
        ("text", "data"),
        [
            (b"", b""),
            (b"QUJD", b"ABC"),
            (b"QU JD\r\n*", b"ABC"),
            (b"QUI=", b"AB"),
            (b"QQ==", b"A"),
            (b"QUJDQ", b"ABC"),
            (b"QQ==QUJD", b"AABC"),
            (b"====", b"\0"),
            ("ü".encode(), b""),
        ],
    )
    def test_what_glib_does(self, text: bytes, data: bytes):
        assert lenient_decode(text) == data

    def test_a_long_run_of_padding_signs_is_no_burden(self):
        assert len(lenient_decode(b"=" * 200_000)) == 50_000


class TestGuestMemory:
    @given(st.integers(0, 10_000), st.binary(min_size=1, max_size=9000))
    def test_what_is_written_is_read(self, address: int, data: bytes):
        memory = GuestMemory(1 << 20)
        memory.write(address, data)
        assert memory.read(address, len(data)) == data
        assert memory.holds(data)
        memory.wipe()
        assert memory.read(address, len(data)) == bytes(len(data))

    def test_untouched_memory_is_zero_and_the_edges_are_known(self):
        memory = GuestMemory(8192)
        assert memory.read(4090, 12) == bytes(12)
        assert memory.contains(0, 8192)
        assert not memory.contains(1, 8192)
        assert not memory.contains(-1, 1)
        assert repr(memory) == "<guest memory of 8192 bytes>"
