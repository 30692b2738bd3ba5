# SPDX-License-Identifier: Apache-2.0
"""What a prepared launch asks of a host, as plain values from which start commands are made."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Final

from ..errors import BadInput

ENCRYPTED_STATE: Final = 1 << 2
"""The policy's bit for SEV-ES. Source: AMD SEV API, guest policy."""

GODH_FILE: Final = "godh.b64"
SESSION_FILE: Final = "session.b64"
"""Under these names the operator finds GODH and launch blob beside the start command."""

_MOST_MEMORY: Final = 16 << 20
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SevOptions:
    """What makes a VM an encrypted one, and this launch's; the fields are those of VmOrder."""

    godh: bytes = field(repr=False)
    blob: bytes = field(repr=False)
    policy: int
    kernel_hashes: bool
    cbitpos: int | None = None
    reduced_phys_bits: int | None = None

    @property
    def godh_base64(self) -> str:
        """GODH as QEMU, libvirt and KubeVirt take it."""
        return base64.b64encode(self.godh).decode()

    @property
    def session_base64(self) -> str:
        """The launch blob as QEMU, libvirt and KubeVirt take it."""
        return base64.b64encode(self.blob).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class VmOrder:
    """One VM. Paths are the host's; None where the VM doesn't have such a thing.

    ``godh``, ``blob``      the owner's DH certificate (2084 bytes), the launch session (128)
    ``policy``              32 bits, as the launch blob has it
    ``cbitpos``, ``reduced_phys_bits``  of the host's processor, None where nobody said
    ``cpu``                 QEMU's name of the CPU model
    ``memory``              in MiB, 1 to 16 TiB
    ``disk``                the encrypted disk, ``disk_format`` raw or qcow2
    ``monitor``             path of the QMP socket
    Raises BadInput ``bad-vm-order``.
    """

    name: str
    godh: bytes = field(repr=False)
    blob: bytes = field(repr=False)
    policy: int
    firmware: str
    kernel: str | None = None
    initrd: str | None = None
    cmdline: str | None = None
    cbitpos: int | None = None
    reduced_phys_bits: int | None = None
    vcpus: int = 1
    cpu: str = "EPYC"
    memory: int = 2048
    disk: str | None = None
    disk_format: str = "qcow2"
    monitor: str = "qmp.sock"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise _bad("name", "a VM's name has 1 to 63 letters, digits, dots, dashes")
        if not 1 <= self.memory <= _MOST_MEMORY:
            raise _bad("memory", f"it is 1 to {_MOST_MEMORY} MiB")
        if not 1 <= self.vcpus <= 4096:
            raise _bad("vcpus", "there are 1 to 4096")
        if self.disk_format not in ("raw", "qcow2"):
            raise _bad("disk format", "it is raw or qcow2")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", self.cpu):
            raise _bad("cpu", "it is one of QEMU's names, such as EPYC-Milan")
        for name in ("firmware", "kernel", "initrd", "cmdline", "disk", "monitor"):
            text = getattr(self, name)
            if text is not None and not text.isprintable():
                raise _bad(name, "it has characters that no start command can hold")
        if self.kernel is None and (self.initrd is not None or self.cmdline):
            raise _bad("kernel", "initrd and command line need one")

    @property
    def sev(self) -> SevOptions:
        """What makes it an encrypted VM; kernel, initrd and command line are always measured."""
        return SevOptions(
            godh=self.godh,
            blob=self.blob,
            policy=self.policy,
            kernel_hashes=self.kernel is not None,
            cbitpos=self.cbitpos,
            reduced_phys_bits=self.reduced_phys_bits,
        )

    @property
    def encrypted_state(self) -> bool:
        """Whether the policy asks for SEV-ES."""
        return bool(self.policy & ENCRYPTED_STATE)


def _bad(field_name: str, rule: str) -> BadInput:
    return BadInput(
        "bad-vm-order", field_name, f"{rule[:1].upper()}{rule[1:]}.", "Give another one."
    )
