# SPDX-License-Identifier: Apache-2.0
"""All launch digests that the approved sets of a profile allow, each with what it is made of."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ..errors import BadInput
from ..sev.cpu_models import CpuSignature
from ..sev.digest import (
    DigestComponent,
    LaunchDigest,
    VcpuSetup,
    launch_digest,
    launch_digest_from_firmware_hash,
    launch_digests_by_vcpus,
)
from ..sev.firmware import FirmwareImage
from ..sev.kernel_hashes import KernelHashes, hash_cmdline
from ..sev.vmsa import VmsaGeneration
from .approvals import ExaminedFile, FileState, examine_files, refuse_changed

if TYPE_CHECKING:  # the profile imports this module
    from .profile import GuestProfile

MOST_DIGESTS: Final = 10_000
"""Launch digests that one profile may allow."""
MOST_PAGES: Final = 1 << 18
"""VMSA pages (4096 bytes) that may be hashed for one profile: 1 GiB."""
_CMDLINE_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class ExpectedDigest:
    """An allowed launch digest, and the combination of approved values that it is of."""

    digest: LaunchDigest
    description: str

    def as_json(self) -> dict[str, object]:
        """Digest in hex, and the combination in words."""
        return {"launch_digest": self.digest.value.hex(), "description": self.description}


@dataclass(frozen=True, slots=True)
class ExpectedLaunch:
    """What a profile allows to be launched.

    ``digests``      every allowed launch digest once, the likeliest VMSA generation first
    ``secret_area``  bytes of the smallest secret area of the firmware images that are here;
                     None where firmware is known by its hash alone
    ``files``        the files as they were found
    ``notes``        what is worth knowing, such as approved files that are not here
    """

    digests: tuple[ExpectedDigest, ...]
    secret_area: int | None
    files: tuple[ExaminedFile, ...]
    notes: tuple[str, ...]

    def launch_digests(self) -> tuple[LaunchDigest, ...]:
        """The digests with their components, as a launch takes them."""
        return tuple(expected.digest for expected in self.digests)

    def which(self, value: bytes) -> ExpectedDigest | None:
        """The combination whose launch digest (32 bytes) this is."""
        return next((one for one in self.digests if one.digest.value == value), None)


@dataclass(frozen=True, slots=True)
class _Firmware:
    """An approved firmware: its image, or its SHA-256 alone."""

    label: str
    sha256: bytes
    image: FirmwareImage | None


@dataclass(frozen=True, slots=True)
class _Boot:
    """Kernel, initrd and command line of a direct boot, one of each."""

    hashes: KernelHashes
    description: str


@dataclass(frozen=True, slots=True)
class _Cpus:
    """The vCPUs that share everything but their number."""

    counts: tuple[int, ...]
    name: str
    most: VcpuSetup


def count_combinations(profile: GuestProfile) -> int:
    """How many combinations the approved sets make, before equal ones are told apart."""
    total = max(1, len(profile.firmware))
    for approved in (profile.kernel, profile.initrd, profile.cmdline):
        total *= max(1, len(approved))
    if profile.needs_es:
        total *= len(profile.vcpus) * len(profile.cpu) * len(_generations(profile))
    return total


def expected_launch(
    profile: GuestProfile, files: Sequence[ExaminedFile] | None = None
) -> ExpectedLaunch:
    """All launches that the profile allows; ``files`` are its files where they were just read.

    Hashes each firmware once and shares every prefix. A kernel or initrd that is not
    here counts by its approved hash. Raises BadInput ``too-many-launches``,
    ``approved-file-changed``, ``not-approved``, what reading a firmware raises,
    ``firmware-without-secret-area`` where there are secrets, and as GuestContents.
    """
    _refuse_too_many(profile)
    files = examine_files(profile) if files is None else files
    refuse_changed(profile.name, files)
    profile.require_oca_pin()
    firmwares = [_firmware(profile, file) for file in files if file.component == "firmware"]
    digests: dict[bytes, ExpectedDigest] = {}
    for expected in _every_digest(profile, firmwares, files):
        digests.setdefault(expected.digest.value, expected)
    return ExpectedLaunch(
        tuple(digests.values()),
        _secret_area(profile, firmwares),
        tuple(files),
        tuple(_notes(files)),
    )


def _refuse_too_many(profile: GuestProfile) -> None:
    count = count_combinations(profile)
    largest = max(profile.vcpus, default=1)
    pages = count // max(1, len(profile.vcpus)) * largest if profile.needs_es else 0
    if count <= MOST_DIGESTS and pages <= MOST_PAGES:
        return
    what = f"{count} combinations; {MOST_DIGESTS} are the most"
    if count <= MOST_DIGESTS:
        what = f"{count} combinations of up to {largest} vCPUs, too many to hash"
    raise BadInput(
        "too-many-launches",
        f"guest profile {profile.name}",
        f"What it approves makes {what}. So loose an approval says little about what runs.",
        "Approve fewer values: narrow the range of vCPUs, or drop firmware, kernels and command"
        " lines that are no longer in use.",
        {"combinations": count, "limit": MOST_DIGESTS},
    )


def _firmware(profile: GuestProfile, file: ExaminedFile) -> _Firmware:
    if file.found.image is None and (profile.needs_es or profile.kernel) and file.found.problem:
        raise file.found.problem
    sha256 = bytes.fromhex(file.entry.sha256 or "")
    return _Firmware(file.entry.label, sha256, file.found.image)


def _secret_area(profile: GuestProfile, firmwares: Sequence[_Firmware]) -> int | None:
    images = [firmware.image for firmware in firmwares if firmware.image is not None]
    if profile.secrets:
        for image in images:
            image.require_secret_area()
    areas = [image.secret_area for image in images]
    return min((area.size if area else 0 for area in areas), default=None)


def _notes(files: Sequence[ExaminedFile]) -> Iterator[str]:
    for file in files:
        if file.state is FileState.UNREADABLE and file.found.problem is not None:
            yield (
                f"The {file} can't be looked at; its approved hash still counts."
                f" {file.found.problem.message}"
            )


def _every_digest(
    profile: GuestProfile, firmwares: Sequence[_Firmware], files: Sequence[ExaminedFile]
) -> Iterator[ExpectedDigest]:
    boots = list(_boots(profile, files))
    for cpus in _cpu_sets(profile):
        for firmware, boot in itertools.product(firmwares, boots):
            yield from _digests(firmware, boot, cpus)


def _generations(profile: GuestProfile) -> tuple[VmsaGeneration, ...]:
    """QEMU makes legacy pages unless told otherwise, so these come first."""
    if profile.vmsa is not None:
        return (profile.vmsa,)
    return (VmsaGeneration.LEGACY, VmsaGeneration.INIT2)


def _cpu_sets(profile: GuestProfile) -> Iterator[_Cpus | None]:
    if not profile.needs_es:
        yield None
        return
    by_signature: dict[CpuSignature, list[str]] = {}
    for cpu in profile.cpu:
        by_signature.setdefault(cpu.signature, []).append(cpu.name)
    for generation, (signature, names) in itertools.product(
        _generations(profile), by_signature.items()
    ):
        most = VcpuSetup(profile.vcpus[-1], signature, generation, profile.sev_features)
        yield _Cpus(profile.vcpus, " or ".join(names), most)


def _boots(profile: GuestProfile, files: Sequence[ExaminedFile]) -> Iterator[_Boot | None]:
    if not profile.kernel:
        yield None
        return
    initrds = [*_approved(files, "initrd")] or [("no initrd", KernelHashes.NO_INITRD)]
    lines = [(_line(line.text), line.sha256) for line in profile.cmdline]
    lines = lines or [(_line(""), hash_cmdline(None))]
    for kernel, initrd, line in itertools.product(_approved(files, "kernel"), initrds, lines):
        hashes = KernelHashes(kernel=kernel[1], initrd=initrd[1], cmdline=line[1])
        yield _Boot(hashes, f"{kernel[0]}, {initrd[0]}, {line[0]}")


def _approved(files: Sequence[ExaminedFile], component: str) -> Iterator[tuple[str, bytes]]:
    for file in files:
        if file.component == component:
            yield str(file), bytes.fromhex(file.entry.sha256 or "")


def _line(text: str | None) -> str:
    if text is None:
        return "a command line known by its SHA-256"
    shown = text if len(text) <= _CMDLINE_SHOWN else text[: _CMDLINE_SHOWN - 1] + "…"
    return f"command line “{shown}”" if text else "no command line"


def _digests(
    firmware: _Firmware, boot: _Boot | None, cpus: _Cpus | None
) -> Iterator[ExpectedDigest]:
    """The digests of one firmware and one boot: as many as there are numbers of vCPUs."""
    words = f"firmware {firmware.label}" + (f", {boot.description}" if boot else "")
    hashes = boot.hashes if boot else None
    if cpus is None or firmware.image is None:
        yield ExpectedDigest(_plain_digest(firmware, hashes), words)
        return
    components = _VcpuComponents(firmware.image, hashes, cpus.most)
    wanted = set(cpus.counts)
    generation = cpus.most.generation.value
    for count, value in launch_digests_by_vcpus(firmware.image, hashes, cpus.most):
        if count in wanted:
            vcpus = f"{count} vCPU{'s' if count > 1 else ''} {cpus.name} ({generation} VMSA)"
            yield ExpectedDigest(LaunchDigest(value, components.of(count)), f"{words}, {vcpus}")


def _plain_digest(firmware: _Firmware, hashes: KernelHashes | None) -> LaunchDigest:
    if firmware.image is None:
        return launch_digest_from_firmware_hash(firmware.sha256, kernel_hashes=hashes)
    return launch_digest(firmware.image, kernel_hashes=hashes)


class _VcpuComponents:
    """What goes into the digests of one firmware and boot, by number of vCPUs.

    The parts are hashed once, not once for each number.
    """

    def __init__(self, image: FirmwareImage, hashes: KernelHashes | None, most: VcpuSetup) -> None:
        self._first = launch_digest(
            image, kernel_hashes=hashes, vcpus=replace(most, count=1)
        ).components
        self._other: DigestComponent | None = None
        self._start = ""
        if most.count > 1 and image.reset_address is not None:
            page = most.other_page(image.reset_address)
            sha256 = hashlib.sha256(page).digest()
            self._other = DigestComponent("vmsa", "", len(page), sha256)
            self._start = f"start at {image.reset_address:#x}"

    def of(self, count: int) -> tuple[DigestComponent, ...]:
        """The components for this many vCPUs."""
        if count == 1 or self._other is None:
            return self._first
        which = f"vCPUs 1 to {count - 1}: as vCPU 0, {self._start}"
        return (*self._first, replace(self._other, description=which, count=count - 1))
