# SPDX-License-Identifier: Apache-2.0
"""What a diagnosis starts from: a refused measurement, and what the owner approved."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..errors import UsageError
from ..secret import Secret
from .digest import VcpuSetup
from .firmware import FirmwareImage
from .firmware_version import FirmwareVersion
from .kernel_hashes import HASH_SIZE, KernelHashes, hash_cmdline
from .measurement import ReportedMeasurement

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DirectBoot:
    """Kernel, initrd and command line, each known by its SHA-256 (32 bytes).

    ``cmdline``   the text where it is known (its spellings can be tried then), else the
    SHA-256 of the text and its NUL; None is no command line
    ``measured``  whether the owner expects kernel hashes (QEMU's ``kernel-hashes=on``)

    Raises BadInput ``wrong-size`` or ``cmdline-unusable``.
    """

    kernel: bytes
    initrd: bytes = KernelHashes.NO_INITRD
    cmdline: str | bytes | None = field(default=None, repr=False)
    measured: bool = True

    def __post_init__(self) -> None:
        self.hashes()

    def hashes(self) -> KernelHashes:
        """The three hashes as QEMU measures them."""
        known = self.cmdline if isinstance(self.cmdline, bytes) else hash_cmdline(self.cmdline)
        return KernelHashes(self.kernel, self.initrd, known)

    def table(self) -> bytes:
        """What of it is measured: 176 bytes, or none."""
        return self.hashes().build() if self.measured else b""


@dataclass(frozen=True, slots=True)
class ApprovedContents:
    """What the owner expects the VM to load; ``vcpus`` is None for plain SEV."""

    firmware: FirmwareImage
    boot: DirectBoot | None = None
    vcpus: VcpuSetup | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A measurement that was refused, and all that is known about what it should have been.

    ``version``         API and build as the host says, or as the owner typed them
    ``policy``          the session's, 32 bits
    ``tik``, ``tek``    not wiped yet; TEK only where it is at hand: the two may be swapped
    ``approved``        the contents, or the launch digest (32 bytes; under plain SEV without
    kernel hashes that is the firmware's SHA-256) where no more is known
    ``other_firmware``  names and images that the VM may have been started with instead

    Raises UsageError ``bad-launch-digest`` or ``bad-policy``.
    """

    reported: ReportedMeasurement
    version: FirmwareVersion
    policy: int
    tik: Secret
    approved: ApprovedContents | bytes
    tek: Secret | None = None
    other_firmware: tuple[tuple[str, FirmwareImage], ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.approved, bytes) and len(self.approved) != HASH_SIZE:
            raise UsageError(
                "bad-launch-digest",
                "Not a launch digest",
                f"A launch digest has {HASH_SIZE} bytes, this has {len(self.approved)}.",
                "Give the firmware (and kernel) that the VM is to run, or its launch digest.",
            )
        if not 0 <= self.policy < 1 << 32:
            raise UsageError(
                "bad-policy",
                "Not a guest policy",
                f"{self.policy} does not fit in 32 bits.",
                "Give the policy that the launch blob was made for.",
            )

    @property
    def contents(self) -> ApprovedContents | None:
        """The approved contents; None where only the launch digest is known."""
        return self.approved if isinstance(self.approved, ApprovedContents) else None


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing in which a launch differs from what was approved.

    ``code``    kebab-case and stable
    ``text``    what differs, in a plain sentence
    ``remedy``  what to do about it, in a plain sentence
    ``alarm``   whether the VM has less protection, or other code, than was approved: then
    approving it afterwards is no remedy
    ``profile`` field and value with which a guest profile would approve it, for another launch;
    None where no profile can, or none should. Of a command line it is the number of its
    spelling: see ``respelled``.
    ``on_host`` the same remedy as an instruction to the host's operator; empty if it is not his
    """

    code: str
    text: str
    remedy: str
    alarm: bool = False
    profile: tuple[str, object] | None = None
    on_host: str = ""

    def as_json(self) -> dict[str, object]:
        """The deviation as it appears in JSON output."""
        return {
            "code": self.code,
            "text": self.text,
            "remedy": self.remedy,
            "alarm": self.alarm,
            "profile": None if self.profile is None else dict([self.profile]),
            "on_host": self.on_host,
        }


@dataclass(frozen=True, slots=True)
class Alternative(Generic[T]):
    """Another value that one part of the launch may have had.

    ``depth``    the most deviations together in which it is tried: 1 alone, 2 pairs, 3 threes
    ``reasons``  how it may have come about; put into words only once it has matched
    """

    value: T
    depth: int
    reasons: tuple[Callable[[], Deviation], ...]


def distinct(
    approved: T | None, alternatives: Iterable[Alternative[T]], *, all_reasons: bool = False
) -> tuple[Alternative[T], ...]:
    """Each value once, in the order given, without the approved one.

    Of the reasons for the same value the first are kept, or all.
    """
    found: dict[T, Alternative[T]] = {}
    for new in alternatives:
        old = found.get(new.value)
        if old is None:
            found[new.value] = new
            continue
        reasons = old.reasons + new.reasons if all_reasons else old.reasons
        found[new.value] = Alternative(new.value, max(old.depth, new.depth), reasons)
    return tuple(one for one in found.values() if one.value != approved)
