# SPDX-License-Identifier: Apache-2.0
"""sev-snp-measure and ``watchword digest`` compute the same launch digests, and refuse the same.

It makes VMSA pages of the INIT2 generation alone. The legacy ones, which QEMU's default
is, differ in two fields, and the last tests hold them to that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from watchword.core.sev.cpu_models import QEMU_MODELS, CpuSignature
from watchword.core.sev.vmsa import BSP_START, VMSA_LAYOUT, VMSA_SIZE, VmsaGeneration, build_vmsa
from watchword.core.simulator import cpu_signature

from .claims import Guest
from .command_line import watchword
from .desk import Desk
from .table import Counts

# Firmware by what it can do; the first ones come from the vectors.
REAL = ("OVMF_CODE.fd", "OVMF_CODE_4M.fd")
TAILS = (
    "OVMF.amdsev.fd_trimmed_edk2-ovmf-20220126gitbb1bba3d77-4.el9",
    "ovmf_AmdSev_suffix.bin",
    "ovmf_OvmfX64_suffix.bin",
)
BUILT = ("firmware", "other-reset", "no-hash-area")
VCPUS = (1, 2, 3, 17, 255)
NO_KERNEL = Guest()
KERNELS = (
    Guest(kernel="kernel"),
    Guest(kernel="kernel", cmdline=""),
    Guest(kernel="kernel", cmdline="console=ttyS0 root=/dev/vda"),
    Guest(kernel="kernel", cmdline="trailing blank "),
    Guest(kernel="kernel", cmdline="utf8=éü漢", initrd="initrd"),
    Guest(kernel="kernel", cmdline="new\nline", initrd="empty"),
    Guest(kernel="kernel", initrd="initrd"),
    Guest(kernel="other-kernel", cmdline="x" * 4096, initrd="other-initrd"),
)
# Models that QEMU has and this version of the peer does not list.
NOT_LISTED = {
    *("EPYC-v5", "EPYC-Rome-v4", "EPYC-Rome-v5", "EPYC-Milan-v3", "EPYC-Milan-v4"),
    *("EPYC-Genoa-v2", "EPYC-Genoa-v3", "EPYC-Turin-v1", "EPYC-Turin-v2"),
    *("qemu64", "qemu64-v1"),
}
CPUS = sorted({cpu.value for cpu in QEMU_MODELS.values()})
RESET = 0x80B004


@dataclass(frozen=True, slots=True)
class Peer:
    """The peer's library; digests in hex, None where it refuses."""

    module: Callable[[str], object]

    def digest(self, desk: Desk, guest: Guest) -> str | None:
        mode = self.module("sev_mode").SevMode
        paths = {
            name: "" if getattr(guest, name) is None else str(desk.files / getattr(guest, name))
            for name in ("firmware", "kernel", "initrd")
        }
        try:
            digest = self.module("guest").calc_launch_digest(
                mode.SEV if guest.vcpus is None else mode.SEV_ES,
                guest.vcpus or 0,
                0 if guest.setup is None else guest.setup.cpu.value,
                paths["firmware"],
                paths["kernel"],
                paths["initrd"],
                guest.cmdline or "",
                0,
            )
        except RuntimeError:
            return None
        return digest.hex()

    def pages(self, signature: int, features: int = 0) -> tuple[bytes, bytes]:
        """The pages of the first vCPU and of another one."""
        mode = self.module("sev_mode").SevMode.SEV_ES
        areas = self.module("vmsa").VMSA(mode, RESET, signature, features)
        first, other = areas.pages(2)
        return first, other


@pytest.fixture(scope="module")
def peer(sev_snp_measure: Callable[[str], object]) -> Peer:
    return Peer(sev_snp_measure)


@pytest.fixture
def images(desk: Desk, vectors: Path) -> list[str]:
    """The names of all firmware, after the vectors' files are put beside our own."""
    real = [desk.take(vectors / "firmware" / name) for name in REAL]
    return [*real, *(desk.take(vectors / "inputs" / name) for name in TAILS), *BUILT]


def our_digest(desk: Desk, guest: Guest, vmsa: str = "init2") -> str | None:
    """What ``watchword digest`` says, None where it refuses the firmware."""
    names = {
        "--firmware": guest.firmware,
        "--kernel": guest.kernel,
        "--initrd": guest.initrd,
    }
    words = [f"{option}={desk.files / name}" for option, name in names.items() if name]
    if guest.cmdline is not None:
        words.append(f"--cmdline={guest.cmdline}")
    if guest.setup is not None:
        cpu = hex(guest.setup.cpu.value)
        words += [f"--vcpus={guest.vcpus}", f"--cpu={cpu}", f"--vmsa={vmsa}"]
    answer = watchword("digest", *words)
    if answer.code == "firmware-without-kernel-hashes":
        return None
    return answer.good()["launch_digest"]


def same_digests(desk: Desk, peer: Peer, guests: list[Guest]) -> tuple[int, int]:
    """How many digests are the same, and how many guests both refuse; no other outcome passes."""
    both = [(guest, our_digest(desk, guest), peer.digest(desk, guest)) for guest in guests]
    assert [case for case in both if case[1] != case[2]] == []
    refused = sum(ours is None for _, ours, _ in both)
    return len(both) - refused, refused


def test_sev(desk: Desk, peer: Peer, images: list[str], compared: Counts) -> None:
    guests = [
        replace(guest, firmware=firmware) for firmware in images for guest in (NO_KERNEL, *KERNELS)
    ]
    same, refused = same_digests(desk, peer, guests)
    compared.agree("measure-sev", same)
    compared.agree("measure-sev-refused", refused)


def test_sev_es(desk: Desk, peer: Peer, images: list[str], compared: Counts) -> None:
    guests = [
        replace(guest, firmware=firmware, vcpus=vcpus)
        for firmware in images
        for vcpus in VCPUS
        for guest in (NO_KERNEL, *KERNELS[2:5])
    ]
    same, refused = same_digests(desk, peer, guests)
    compared.agree("measure-es", same)
    compared.agree("measure-es-refused", refused)


def test_sev_es_for_every_cpu(desk: Desk, peer: Peer, compared: Counts) -> None:
    guests = [
        Guest(cpu=(cpu.family, cpu.model, cpu.stepping), vcpus=vcpus)
        for cpu in (CpuSignature.from_value(value) for value in CPUS)
        for vcpus in VCPUS
    ]
    assert same_digests(desk, peer, guests) == (len(guests), 0)
    compared.agree("measure-es-cpus", len(guests))


def test_one_vcpu_needs_no_reset_address(desk: Desk, peer: Peer, compared: Counts) -> None:
    """The peer asks for it all the same, and QEMU for its own reasons starts no such VM."""
    guest = Guest("no-table", vcpus=1)
    assert our_digest(desk, guest) is not None
    assert peer.digest(desk, guest) is None
    compared.differ("no-reset-address", 1)


def test_the_tables_of_cpu_models(peer: Peer, compared: Counts) -> None:
    theirs = peer.module("vcpu_types").CPU_SIGS
    ours = {name: cpu.value for name, cpu in QEMU_MODELS.items()}
    assert {name: ours.get(name) for name in theirs} == theirs
    assert ours.keys() - theirs.keys() == NOT_LISTED
    assert {name: cpu_signature(name) for name in theirs} == theirs  # the simulator's own table
    compared.agree("measure-models", len(theirs))
    compared.differ("models-not-listed", len(NOT_LISTED))


def test_signatures_of_family_model_and_stepping(peer: Peer, compared: Counts) -> None:
    signature = peer.module("vcpu_types").cpu_sig
    triples = [
        (family, model, stepping)
        for family in range(271)
        for model in (0, 1, 15, 16, 17, 49, 160, 255)
        for stepping in (0, 1, 2, 15)
    ]
    assert all(signature(*triple) == CpuSignature(*triple).value for triple in triples)
    compared.agree("measure-signatures", len(triples))


def page_pairs(peer: Peer, generation: VmsaGeneration) -> Iterator[tuple[bytes, bytes]]:
    """The peer's pages and ours: every CPU, first and other vCPU, with and without features."""
    for value in CPUS:
        cpu = CpuSignature.from_value(value)
        for features in (0, 0x20, 0x21):
            theirs = peer.pages(value, features)
            for page, start in zip(theirs, (BSP_START, RESET), strict=True):
                yield page, build_vmsa(cpu, generation, start=start, sev_features=features)


def test_init2_pages_are_the_same_byte_for_byte(peer: Peer, compared: Counts) -> None:
    pairs = list(page_pairs(peer, VmsaGeneration.INIT2))
    assert all(theirs == ours for theirs, ours in pairs)
    compared.agree("measure-pages", len(pairs))


def test_legacy_pages_differ_in_mxcsr_and_fcw_alone(peer: Peer, compared: Counts) -> None:
    fields = {name: VMSA_LAYOUT[name] for name in ("mxcsr", "x87_fcw")}
    assert fields == {"mxcsr": (0x408, 4), "x87_fcw": (0x410, 2)}
    places = {offset + n for offset, size in fields.values() for n in range(size)}
    pairs = list(page_pairs(peer, VmsaGeneration.LEGACY))
    for theirs, ours in pairs:
        differing = {place for place in range(VMSA_SIZE) if theirs[place] != ours[place]}
        assert differing
        assert differing <= places
        assert not any(ours[place] for place in places)
        assert theirs[0x408:0x40C] == (0x1F80).to_bytes(4, "little")
        assert theirs[0x410:0x412] == (0x37F).to_bytes(2, "little")
    compared.differ("legacy-pages", len(pairs))


@pytest.mark.parametrize("vcpus", VCPUS)
def test_a_legacy_digest_is_the_peers_without_these_two_fields(
    desk: Desk, peer: Peer, vcpus: int
) -> None:
    guest = Guest(vcpus=vcpus)
    assert guest.setup is not None
    running = hashlib.sha256((desk.files / "firmware").read_bytes())
    first, other = peer.pages(guest.setup.cpu.value)
    for page in [first, *[other] * (vcpus - 1)]:
        running.update(page[:0x408] + bytes(4) + page[0x40C:0x410] + bytes(2) + page[0x412:])
    ours = our_digest(desk, guest, "legacy")
    assert ours == running.hexdigest()
    assert ours != peer.digest(desk, guest)


def test_its_own_command_line_agrees_with_its_library(
    desk: Desk, peer: Peer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library is what most cases here are compared with; people run the command."""
    words = ["--mode=seves", "--vcpus=3", "--vcpu-type=EPYC-Milan", "--append=quiet"]
    words += [
        f"--{name}={desk.files / file}"
        for name, file in (("ovmf", "firmware"), ("kernel", "kernel"), ("initrd", "initrd"))
    ]
    monkeypatch.setattr("sys.argv", ["sev-snp-measure", *words])
    peer.module("cli").main()
    guest = Guest(vcpus=3, kernel="kernel", initrd="initrd", cmdline="quiet")
    assert capsys.readouterr().out.strip() == peer.digest(desk, guest) == our_digest(desk, guest)
