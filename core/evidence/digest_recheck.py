# SPDX-License-Identifier: Apache-2.0
"""Works the launch digest of a document out again, from the caller's files as far as he has them.

Without the firmware file a launch digest can't be had: it is one SHA-256 over the image
and what follows it. What can be checked without is checked all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ..errors import BadInput
from ..sev.digest import LaunchDigest, launch_digest
from ..sev.firmware import FirmwareImage
from ..sev.kernel_hashes import KernelHashes, hash_cmdline
from .document import Commitment, ComponentSection, ContentsSection, Predicate, shown
from .refusals import contradiction, differs_from_file, digest_differs, not_measured
from .verdict import Finding, owners_word, recomputed

_MADE_OF: Final = "what it is made of"
_UNKNOWN: Final = owners_word(
    _MADE_OF,
    "not recomputed: the document doesn't say which of the approved digests it was, or what it is"
    " made of",
)


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """The caller's files: firmware images, and SHA-256 (32 bytes) of kernels and initrds.

    There may be several of each; a document's is the one whose hash it records.
    """

    firmware: tuple[FirmwareImage, ...] = ()
    kernels: tuple[bytes, ...] = ()
    initrds: tuple[bytes, ...] = ()


NO_FILES = OwnFiles()


def recheck_digest(predicate: Predicate, files: OwnFiles) -> tuple[Finding, ...]:
    """What can be said of all that went into the launch digest.

    Raises VerificationRefused ``firmware-differs``, ``kernel-differs``,
    ``initrd-differs``, ``kernel-not-measured``, ``initrd-not-measured``,
    ``launch-digest-differs`` or ``evidence-contradiction``.
    """
    contents = predicate.contents
    if contents is None:
        return (_UNKNOWN,)
    hashes = None if contents.kernel_hashes is None else contents.kernel_hashes.load()
    _check_without_files(contents, hashes)
    if contents.firmware is None and not _is_firmware_alone(contents, files):
        return (_UNKNOWN,)
    own_boot = _compare_boot_files(hashes, files)
    image = _own_image(contents, files)
    if image is not None:
        _compare(contents, _recompute(contents, image, hashes))
    return tuple(_findings(contents, from_file=image is not None, own_boot=own_boot))


def _is_firmware_alone(contents: ContentsSection, files: OwnFiles) -> bool:
    """Whether the digest is the hash of one of the caller's images, as under plain SEV."""
    return any(image.sha256.hex() == contents.launch_digest for image in files.firmware)


def _own_image(contents: ContentsSection, files: OwnFiles) -> FirmwareImage | None:
    """The caller's image of this firmware; None if he gave none at all."""
    if not files.firmware:
        return None
    sought = contents.launch_digest if contents.firmware is None else contents.firmware.sha256
    for image in files.firmware:
        if image.sha256.hex() == sought:
            return image
    raise differs_from_file("firmware", "--firmware")


def _compare_boot_files(hashes: KernelHashes | None, files: OwnFiles) -> frozenset[str]:
    """Which of kernel and initrd are the caller's own."""
    given = {"kernel": files.kernels, "initrd": files.initrds}
    own = frozenset(name for name, found in given.items() if found)
    for name in sorted(own):
        if hashes is None:
            raise not_measured(name, f"--{name}")
        _one_of(getattr(hashes, name), given[name], name)
    return own


def _one_of(recorded: bytes, given: Collection[bytes], what: str) -> None:
    if recorded not in given:
        raise differs_from_file(what, f"--{what}")


def _recompute(
    contents: ContentsSection, image: FirmwareImage, hashes: KernelHashes | None
) -> LaunchDigest:
    vcpus = None if contents.vcpus is None else contents.vcpus.load()
    try:
        return launch_digest(image, kernel_hashes=hashes, vcpus=vcpus)
    except BadInput as error:
        raise contradiction(f"That firmware can't be launched like that. {error.message}") from None


def _compare(contents: ContentsSection, found: LaunchDigest) -> None:
    if found.value.hex() != contents.launch_digest:
        raise digest_differs(contents.launch_digest, found.value.hex())
    recorded = [(part.name, part.count, part.sha256) for part in contents.components]
    if recorded and recorded != [
        (part.name, part.count, part.sha256.hex()) for part in found.components
    ]:
        raise contradiction("The parts that it lists are not those of its launch digest.")


def _check_without_files(contents: ContentsSection, hashes: KernelHashes | None) -> None:
    """Everything that hangs together without the firmware's bytes."""
    firmware, parts = contents.firmware, {part.name: part for part in contents.components}
    if firmware is None:
        if hashes is not None or contents.vcpus is not None or parts:
            raise contradiction("It lists parts of a launch digest without any firmware.")
    elif hashes is None and contents.vcpus is None and firmware.sha256 != contents.launch_digest:
        raise digest_differs(contents.launch_digest, firmware.sha256)
    if firmware is not None and parts and _hash_of(parts, "firmware") != firmware.sha256:
        raise contradiction("It names two different firmware images.")
    table = None if hashes is None else hashlib.sha256(hashes.build()).hexdigest()
    if parts and _hash_of(parts, "kernel-hashes") != table:
        raise contradiction("Its table of kernel hashes is not that of its kernel hashes.")
    _check_cmdline(contents, hashes)


def _hash_of(parts: Mapping[str, ComponentSection], name: str) -> str | None:
    return parts[name].sha256 if name in parts else None


def _check_cmdline(contents: ContentsSection, hashes: KernelHashes | None) -> None:
    text = contents.cmdline
    if text is None or isinstance(text, Commitment):
        return
    try:
        found = hash_cmdline(text)
    except BadInput as error:
        raise contradiction(f"Its command line can't be one. {error.message}") from None
    if hashes is None or hashes.cmdline != found:
        raise contradiction("Its command line is not the one of the hash that was measured.")


# -- in words ------------------------------------------------------------------------


def _findings(
    contents: ContentsSection, *, from_file: bool, own_boot: frozenset[str]
) -> Iterator[Finding]:
    say = recomputed if from_file else owners_word
    text = "not recomputed: that takes --firmware FILE"
    if from_file:
        text = "your firmware file and what is listed here: the launch digest was recomputed"
    yield say(_MADE_OF, text)
    if contents.firmware is not None:
        yield say("firmware", f"SHA-256 {contents.firmware.sha256}")
    if contents.kernel_hashes is None:
        yield say("kernel", "none was measured")
    else:
        for name in ("kernel", "initrd", "cmdline"):
            own = ", your file" if name in own_boot else ""
            yield say(f"{name} hash", f"{getattr(contents.kernel_hashes, name)}{own}")
    if contents.cmdline is not None:
        yield _cmdline(contents.cmdline)
    if contents.vcpus is not None:
        vcpus = contents.vcpus.load()
        how = f"{vcpus.generation.value}, SEV features {vcpus.sev_features:#x}"
        yield say("vCPUs", f"{vcpus.count} of CPU {vcpus.cpu}, VMSA {how}")


def _cmdline(text: str | Commitment) -> Finding:
    if isinstance(text, Commitment):
        return owners_word("command line", shown(text))
    return recomputed("command line", f"“{text}”, which has that hash")
