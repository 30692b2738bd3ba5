# SPDX-License-Identifier: Apache-2.0
"""The launch digest: SHA-256 over all that a SEV or SEV-ES launch puts into guest memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from ..errors import BadInput, UsageError
from ..frozen import dataclass
from .cpu_models import CpuSignature
from .firmware import FirmwareImage
from .kernel_hashes import HASH_SIZE, KernelHashes
from .vmsa import SEV_FEATURES_MAX, VmsaGeneration, build_vmsa

# KVM runs 4096 vCPUs in a VM at most; the next power of two leaves room.
VCPUS_MAX = 8192

_AMDSEV_BUILD = (
    "Use an AmdSev build of OVMF (edk2 OvmfPkg/AmdSev; Debian's ovmf-amdsev,"
    " Fedora's OVMF.amdsev.fd)"
)


@dataclass(frozen=True, slots=True)
class VcpuSetup:
    """The vCPUs of a SEV-ES guest: how many (1 to 8192), of which CPU, set up how.

    ``sev_features`` is the 64-bit field of the VMSA. Raises BadInput
    ``vcpus-out-of-range`` or ``sev-features-out-of-range``.
    """

    count: int
    cpu: CpuSignature
    generation: VmsaGeneration = VmsaGeneration.LEGACY
    sev_features: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.count <= VCPUS_MAX:
            raise BadInput(
                "vcpus-out-of-range",
                "the number of vCPUs",
                f"It is {self.count}; a guest has 1 to {VCPUS_MAX}.",
                "Give the number that QEMU's -smp gets.",
            )
        if not 0 <= self.sev_features <= SEV_FEATURES_MAX:
            raise BadInput(
                "sev-features-out-of-range",
                "the SEV features",
                "They are a number of 64 bits.",
                "Leave them out: they are 0 unless the VMM was told otherwise.",
            )

    def first_page(self) -> bytes:
        """The VMSA page (4096 bytes) of vCPU 0."""
        return build_vmsa(self.cpu, self.generation, sev_features=self.sev_features)

    def other_page(self, reset_address: int) -> bytes:
        """The VMSA page (4096 bytes) of each other vCPU, which starts at ``reset_address``."""
        return build_vmsa(
            self.cpu, self.generation, start=reset_address, sev_features=self.sev_features
        )


@dataclass(frozen=True, slots=True)
class DigestComponent:
    """One thing that went into a launch digest: ``count`` times ``size`` bytes with ``sha256``."""

    name: str
    description: str
    size: int | None
    sha256: bytes
    count: int = 1

    def as_json(self) -> dict[str, object]:
        """The component as it appears in JSON output; size is null where only the hash is known."""
        return {
            "name": self.name,
            "description": self.description,
            "size": self.size,
            "count": self.count,
            "sha256": self.sha256.hex(),
        }


@dataclass(frozen=True, slots=True)
class LaunchDigest:
    """A launch digest (32 bytes), and what went into it in the order of the launch."""

    value: bytes
    components: tuple[DigestComponent, ...]

    def as_json(self) -> dict[str, object]:
        """The digest in hex under ``launch_digest``, and its ``components``."""
        return {
            "launch_digest": self.value.hex(),
            "components": [component.as_json() for component in self.components],
        }


@dataclass(frozen=True, slots=True)
class GuestContents:
    """What a launch loads: firmware, kernel hashes if measured, vCPUs if SEV-ES.

    There is no such thing with contents that QEMU would refuse to start. Raises
    BadInput ``firmware-without-kernel-hashes`` or ``firmware-without-reset-block``.
    """

    firmware: FirmwareImage
    kernel_hashes: KernelHashes | None = None
    vcpus: VcpuSetup | None = None

    def __post_init__(self) -> None:
        if self.kernel_hashes is not None:
            _check_hash_area(self.firmware)
        if self.vcpus is not None and self.vcpus.count > 1:
            _reset_address(self.firmware)

    def launch_digest(self) -> LaunchDigest:
        """The digest of these contents."""
        value = hash_contents(self.firmware, self.kernel_hashes, self.vmsa_pages())
        return LaunchDigest(value, tuple(self._components()))

    def vmsa_pages(self) -> Iterator[bytes]:
        """The VMSA pages (4096 bytes each), vCPU 0 first; none under plain SEV."""
        if self.vcpus is None:
            return
        yield self.vcpus.first_page()
        if self.vcpus.count > 1:
            page = self.vcpus.other_page(_reset_address(self.firmware))
            for _ in range(1, self.vcpus.count):
                yield page

    def _components(self) -> Iterator[DigestComponent]:
        image = self.firmware
        yield DigestComponent("firmware", "the image as it is mapped", image.size, image.sha256)
        if self.kernel_hashes is not None:
            yield from _kernel_components(self.kernel_hashes)
        if self.vcpus is not None:
            yield from self._vcpu_components(self.vcpus)

    def _vcpu_components(self, vcpus: VcpuSetup) -> Iterator[DigestComponent]:
        how = f"CPU {vcpus.cpu}, {vcpus.generation.value}, SEV features {vcpus.sev_features:#x}"
        first = vcpus.first_page()
        yield DigestComponent("vmsa", f"vCPU 0: {how}", len(first), _sha256(first))
        if vcpus.count > 1:
            address = _reset_address(self.firmware)
            page = vcpus.other_page(address)
            which = f"vCPUs 1 to {vcpus.count - 1}: {how}, start at {address:#x}"
            yield DigestComponent("vmsa", which, len(page), _sha256(page), vcpus.count - 1)


def launch_digest(
    firmware: FirmwareImage,
    *,
    kernel_hashes: KernelHashes | None = None,
    vcpus: VcpuSetup | None = None,
) -> LaunchDigest:
    """The launch digest: plain SEV without ``vcpus``, SEV-ES with them; raises as GuestContents."""
    return GuestContents(firmware, kernel_hashes, vcpus).launch_digest()


def launch_digest_from_firmware_hash(
    sha256: bytes,
    *,
    kernel_hashes: KernelHashes | None = None,
    vcpus: VcpuSetup | None = None,
) -> LaunchDigest:
    """The launch digest of a firmware known by its SHA-256 (32 bytes) alone: that very hash.

    Only where nothing else is measured. Raises UsageError ``digest-needs-firmware``
    with kernel hashes or vCPUs, and BadInput ``wrong-size``.
    """
    if kernel_hashes is not None or vcpus is not None:
        raise UsageError(
            "digest-needs-firmware",
            "The firmware's hash is not enough",
            "With kernel hashes or SEV-ES the launch digest is one SHA-256 over the firmware and"
            " what follows it. It can't be worked out from the firmware's hash.",
            "Give the firmware file itself.",
        )
    if len(sha256) != HASH_SIZE:
        raise BadInput(
            "wrong-size",
            "the firmware's SHA-256",
            f"A SHA-256 has {HASH_SIZE} bytes, this has {len(sha256)}.",
            "Give the 64 hex digits that sha256sum prints.",
        )
    known = DigestComponent("firmware", "an image known by its SHA-256 alone", None, sha256)
    return LaunchDigest(sha256, (known,))


def launch_digests_by_vcpus(
    firmware: FirmwareImage, kernel_hashes: KernelHashes | None, most: VcpuSetup
) -> Iterator[tuple[int, bytes]]:
    """Number of vCPUs and launch digest, from 1 vCPU to ``most.count``.

    Each page is hashed once, the firmware not at all: as fast as the last digest
    alone. Raises as GuestContents does, before the first digest.
    """
    contents = GuestContents(firmware, kernel_hashes, most)
    running = firmware.hash_state()
    if kernel_hashes is not None:
        running.update(kernel_hashes.build())
    for count, page in enumerate(contents.vmsa_pages(), start=1):
        running.update(page)
        yield count, running.digest()


def hash_contents(
    firmware: FirmwareImage, kernel_hashes: KernelHashes | None, vmsa_pages: Iterable[bytes]
) -> bytes:
    """SHA-256 (32 bytes) over the parts in the order of the launch, without any judgement.

    For explaining what a peer computed that checks nothing; everybody else takes
    launch_digest. Source: QEMU target/i386/sev.c (sev_encrypt_flash,
    sev_add_kernel_loader_hashes, sev_launch_get_measure).
    """
    running = firmware.hash_state()
    if kernel_hashes is not None:
        running.update(kernel_hashes.build())
    for page in vmsa_pages:
        running.update(page)
    return running.digest()


def _kernel_components(hashes: KernelHashes) -> Iterator[DigestComponent]:
    table = hashes.build()
    parts = (
        f"kernel {hashes.kernel.hex()}, initrd {hashes.initrd.hex()},"
        f" command line {hashes.cmdline.hex()}"
    )
    yield DigestComponent("kernel-hashes", parts, len(table), _sha256(table))


def _check_hash_area(firmware: FirmwareImage) -> None:
    judgement = firmware.capabilities.kernel_hashes
    if not judgement.go:
        raise BadInput(
            "firmware-without-kernel-hashes",
            firmware.field,
            f"This firmware can't take kernel hashes, and QEMU would not start. {judgement.reason}",
            f"{_AMDSEV_BUILD}, or leave kernel, initrd and command line out.",
        )


def _reset_address(firmware: FirmwareImage) -> int:
    address = firmware.reset_address
    if address is None:
        raise BadInput(
            "firmware-without-reset-block",
            firmware.field,
            "SEV-ES with more than one vCPU needs the address where the others start."
            f" {firmware.capabilities.sev_es.reason}",
            "Use an OVMF image from 2021 or later.",
        )
    return address


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
