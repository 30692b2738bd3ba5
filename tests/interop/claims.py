# SPDX-License-Identifier: Apache-2.0
"""What a VM loads, and what is claimed about it: the same claim in the words of each program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watchword.core.errors import BadInput
from watchword.core.sev.cpu_models import CpuSignature
from watchword.core.sev.digest import VcpuSetup
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.vmsa import VmsaGeneration

MILAN = (25, 1, 1)


@dataclass(frozen=True, slots=True)
class Guest:
    """What a VM loads, or is believed to load; files by their names in a folder.

    ``vcpus`` None: plain SEV. ``cpu`` is family, model, stepping.
    """

    firmware: str = "firmware"
    kernel: str | None = None
    initrd: str | None = None
    cmdline: str | None = None
    vcpus: int | None = None
    cpu: tuple[int, int, int] = MILAN
    init2: bool = False
    features: int = 0

    @property
    def setup(self) -> VcpuSetup | None:
        """Its vCPUs, as the core has them."""
        if self.vcpus is None:
            return None
        generation = VmsaGeneration.INIT2 if self.init2 else VmsaGeneration.LEGACY
        return VcpuSetup(self.vcpus, CpuSignature(*self.cpu), generation, self.features)


@dataclass(frozen=True, slots=True)
class Claim:
    """All that a verdict rests on: the owner's belief, and the host's words.

    ``keys``   a folder with ``tek.bin`` and ``tik.bin``
    ``files``  the folder of the guest's files
    ``pages``  the peer is given the vCPUs' pages as files, not the CPU's numbers
    """

    guest: Guest
    policy: int
    api: tuple[int, int]
    build: int
    reported: str
    keys: Path
    files: Path
    pages: bool = False

    def path(self, name: str) -> Path:
        """A file of the guest's."""
        return self.files / name

    @property
    def reset_address(self) -> int:
        """Where the claimed firmware starts the other vCPUs; 0 where it can't say."""
        try:
            image = FirmwareImage.from_bytes(self.path(self.guest.firmware).read_bytes())
        except (OSError, BadInput):
            return 0
        return image.reset_address or 0


def watchword_words(claim: Claim) -> list[str]:
    """The options of ``measurement verify``, which ``secret seal`` has too."""
    guest = claim.guest
    words = [
        f"--tik={claim.keys / 'tik.bin'}",
        "--api={}.{}".format(*claim.api),
        f"--build={claim.build}",
        f"--policy=0x{claim.policy:x}",
        f"--reported={claim.reported}",
        f"--firmware={claim.path(guest.firmware)}",
        *_boot_words(claim),
    ]
    if guest.vcpus is not None:
        words += [
            f"--vcpus={guest.vcpus}",
            "--cpu={}/{}/{}".format(*guest.cpu),
            f"--vmsa={'init2' if guest.init2 else 'legacy'}",
            f"--sev-features={guest.features:x}",
        ]
    return words


def validator_words(claim: Claim) -> list[str]:
    """The options of virt-qemu-sev-validate; pages that it is given are written for it."""
    guest = claim.guest
    words = [
        f"--tik={claim.keys / 'tik.bin'}",
        f"--tek={claim.keys / 'tek.bin'}",
        f"--api-major={claim.api[0]}",
        f"--api-minor={claim.api[1]}",
        f"--build-id={claim.build}",
        f"--policy={claim.policy}",  # it reads decimal alone
        f"--measurement={claim.reported}",
        f"--firmware={claim.path(guest.firmware)}",
        *_boot_words(claim),
    ]
    return words + list(_vcpu_words(claim))


def _boot_words(claim: Claim) -> Iterator[str]:
    """Both programs call these alike."""
    guest = claim.guest
    if guest.kernel is not None:
        yield f"--kernel={claim.path(guest.kernel)}"
    if guest.initrd is not None:
        yield f"--initrd={claim.path(guest.initrd)}"
    if guest.cmdline is not None:
        yield f"--cmdline={guest.cmdline}"


def _vcpu_words(claim: Claim) -> Iterator[str]:
    setup = claim.guest.setup
    if setup is None:
        return
    yield f"--num-cpus={setup.count}"
    if not claim.pages:
        names = ("family", "model", "stepping")
        yield from (
            f"--cpu-{name}={number}" for name, number in zip(names, claim.guest.cpu, strict=True)
        )
        return
    pages = [setup.first_page()]
    if setup.count > 1:
        pages.append(setup.other_page(claim.reset_address))
    for number, page in enumerate(pages):
        path = claim.files / f"vmsa{number}.bin"
        path.write_bytes(page)
        yield f"--vmsa-cpu{number}={path}"
