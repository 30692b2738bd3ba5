# SPDX-License-Identifier: Apache-2.0
"""QEMU's part: a paused virtual machine whose launch the secure processor measures.

Source: QEMU target/i386/sev.c for the order of steps and the words of errors; Linux
arch/x86/kvm/svm/sev.c for what the kernel checks before the firmware does.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import HostError, UsageError
from .firmware_footer import FirmwareAreas, read_footer
from .firmware_status import FirmwareRefusal, FirmwareStatus
from .guest_memory import GuestMemory, Memory
from .kernel_table import PADDED_SIZE, kernel_table
from .lenient_base64 import lenient_decode
from .save_area import BOOT_RESET_ADDRESS, SaveAreaKind, save_area
from .secure_processor import LARGEST_SECRET, GuestState, Policy, SecureProcessor

DEFAULT_CPU_SIGNATURE = 0xA00F11  # EPYC-Milan
_FLASH_BLOCK = 4096
_MOST_FIRMWARE = 64 * 1024 * 1024
_MOST_VCPUS = 4096
_EIO, _EINVAL = 5, 22


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk image: its file and QEMU's name for its format, ``raw`` or ``qcow2``."""

    path: Path
    format: str = "raw"


@dataclass(frozen=True, slots=True)
class StartOrder:
    """What QEMU is started with.

    ``dh_cert`` and ``session`` are the *contents* of dh-cert-file and session-file (base64 as
    QEMU takes it); without both it is a virtual machine without SEV. ``kernel_hashes`` matters
    only with a kernel. ``paused`` is QEMU's -S. ``ram_size`` in bytes. Only a real QEMU
    knows what to do with a ``disk``, or loads a ``swapped_kernel`` where ``kernel`` was measured.
    """

    firmware: bytes = field(repr=False)
    policy: int = 1
    dh_cert: bytes | None = field(default=None, repr=False)
    session: bytes | None = field(default=None, repr=False)
    kernel: bytes | None = field(default=None, repr=False)
    initrd: bytes | None = field(default=None, repr=False)
    command_line: str | None = None
    kernel_hashes: bool = True
    vcpus: int = 1
    cpu_signature: int = DEFAULT_CPU_SIGNATURE
    save_area_kind: SaveAreaKind = SaveAreaKind.LEGACY
    sev_features: int = 0
    paused: bool = True
    name: str | None = None
    ram_size: int = 512 * 1024 * 1024
    disk: Disk | None = None
    swapped_kernel: bytes | None = field(default=None, repr=False)

    @property
    def with_sev(self) -> bool:
        """Whether this is a SEV guest at all."""
        return self.dh_cert is not None or self.session is not None


class StartFailure(HostError):
    """QEMU ended instead of starting; ``lines`` is what it printed on standard error."""

    def __init__(self, *lines: str, fw_error: FirmwareStatus | None = None) -> None:
        stderr = tuple(f"qemu-system-x86_64: {line}" for line in lines)
        super().__init__(
            "simulated-start-failed",
            "The virtual machine did not start",
            f"The simulated QEMU said: {lines[0]}",
            "See what it was started with: session, policy, firmware, kernel.",
            {"stderr": list(stderr), "fw_error": None if fw_error is None else int(fw_error)},
        )
        self.lines = stderr
        self.fw_error = fw_error


class QmpError(HostError):
    """A command failed; ``error_class`` and ``text`` are what QEMU answers."""

    def __init__(self, text: str, error_class: str = "GenericError") -> None:
        super().__init__(
            "simulated-qmp-error",
            "The simulated host refused a command",
            text,
            "See the state of the virtual machine and the arguments.",
        )
        self.text = text
        self.error_class = error_class


class VirtualMachine:
    """One virtual machine on a secure processor; starting it is part of making it.

    ``memory`` is the guest's RAM as the guest sees it, ``handle`` its number in the secure
    processor (0 without SEV), ``run_state`` QEMU's word: prelaunch, running, paused, shutdown.
    ``visible_kernel`` is what the guest will read where that is not what is measured.
    Raises StartFailure where QEMU would print something and end.
    """

    def __init__(
        self,
        order: StartOrder,
        processor: SecureProcessor,
        memory: Memory | None = None,
        *,
        visible_kernel: bytes | None = None,
    ) -> None:
        check_order(order)
        self.order = order
        self.processor = processor
        self.memory: Memory = GuestMemory(order.ram_size) if memory is None else memory
        self.took_secret = False
        self._visible_kernel = visible_kernel
        self.areas: FirmwareAreas = read_footer(order.firmware)
        self.state = GuestState.UNINIT
        self.handle = 0
        self.run_state = "prelaunch"
        self._measurement = b""
        if order.with_sev:
            self._launch()
        if not order.paused:
            self.resume()

    @property
    def measurement(self) -> str:
        """query-sev-launch-measure: base64 of HMAC (32 bytes) and nonce (16 bytes)."""
        if self.state not in (GuestState.LAUNCH_SECRET, GuestState.RUNNING):
            raise QmpError("SEV launch measurement is not available")
        return base64.b64encode(self._measurement).decode()

    def inject_secret(self, header: str, secret: str, address: int | None) -> None:
        """sev-inject-launch-secret: header and secret in base64; no address: the firmware's."""
        if not self.order.with_sev:
            raise QmpError("SEV not enabled for guest")
        if address is None:
            if self.areas.secret is None:
                raise QmpError("SEV: no secret area found in OVMF, gpa must be specified.")
            address = self.areas.secret.base
        if self.state is not GuestState.LAUNCH_SECRET:
            raise QmpError(f"SEV: Not in correct state. (LSECRET) {int(self.state):x}")
        raw_header, raw_secret = (lenient_decode(text.encode()) for text in (header, secret))
        if not raw_header:
            raise QmpError("SEV: Failed to decode sequence header")
        if not raw_secret:
            raise QmpError("SEV: Failed to decode data")
        self._check_address(address, len(raw_secret))
        if max(len(raw_header), len(raw_secret)) > LARGEST_SECRET:
            raise _injection_failed(_EINVAL, FirmwareStatus.SUCCESS)  # KVM's own limit
        try:
            self.processor.launch_secret(
                self.handle, raw_header, raw_secret, address, self.memory.write
            )
        except FirmwareRefusal as refusal:
            raise _injection_failed(_EIO, refusal.status) from None
        self.took_secret = True

    def attestation_report(self, nonce: str) -> str:
        """query-sev-attestation-report: nonce and report in base64 (16 and 208 bytes)."""
        if not self.order.with_sev:
            raise QmpError("SEV is not enabled")
        raw = lenient_decode(nonce.encode())
        if len(raw) != 16:
            raise QmpError(f"SEV: mnonce must be 16 bytes (got {len(raw)})")
        try:
            report = self.processor.attestation(self.handle, raw)
        except FirmwareRefusal as refusal:
            status = refusal.status
            raise QmpError(
                "SEV: Failed to query the attestation report length "
                f"ret=-{_EIO} fw_err={int(status)} ({status.text})"
            ) from None
        return base64.b64encode(report).decode()

    def resume(self) -> bool:
        """``cont``: closes the launch the first time; whether anything changed."""
        if self.run_state == "running":
            return False
        if self.state is GuestState.LAUNCH_SECRET:
            self.processor.launch_finish(self.handle)
            self.state = GuestState.RUNNING
        self.run_state = "running"
        return True

    def pause(self) -> bool:
        """``stop``: whether anything changed (a machine that never ran stays in prelaunch)."""
        if self.run_state != "running":
            return False
        self.run_state = "paused"
        return True

    def shut_down(self) -> None:
        """End: guest context and memory are wiped; may be called again."""
        self.processor.decommission(self.handle)
        self.memory.wipe()
        self.run_state = "shutdown"

    def _launch(self) -> None:
        order, processor = self.order, self.processor
        try:
            self.handle = processor.launch_start(
                order.policy,
                lenient_decode(order.dh_cert or b""),
                lenient_decode(order.session or b""),
            )
        except FirmwareRefusal as refusal:
            # QEMU prints the 1 that its variable starts with, not what the call returned.
            raise StartFailure(
                "sev_launch_start: LAUNCH_START ret=1 "
                f"fw_error={int(refusal.status)} '{refusal.status.text}'",
                "sev_kvm_init: failed to create encryption context",
                fw_error=refusal.status,
            ) from None
        try:
            self._measure()
        except StartFailure:
            processor.decommission(self.handle)
            raise
        self.state = GuestState.LAUNCH_SECRET

    def _measure(self) -> None:
        order, processor = self.order, self.processor
        processor.launch_update_data(self.handle, order.firmware)
        if order.kernel is not None and order.kernel_hashes:
            self._add_kernel_table(order.kernel)
        if order.policy & Policy.ES:
            for page in self._save_areas():
                processor.launch_update_vmsa(self.handle, page)
        self._measurement = processor.launch_measure(self.handle)

    def _add_kernel_table(self, kernel: bytes) -> None:
        area = self.areas.hashes
        if area is None:
            raise StartFailure("SEV: kernel specified but guest firmware has no hashes table GUID")
        if not area.base or area.size < PADDED_SIZE:
            raise StartFailure(
                "SEV: guest firmware hashes table area is invalid "
                f"(base=0x{area.base:x} size=0x{area.size:x})"
            )
        if not self.memory.contains(area.base, PADDED_SIZE):
            raise StartFailure("SEV: cannot map hashes table guest memory area")
        others = (self.order.initrd or b"", self.order.command_line or "")
        visible = kernel if self._visible_kernel is None else self._visible_kernel
        self.memory.write(area.base, kernel_table(visible, *others))
        self.processor.launch_update_data(self.handle, kernel_table(kernel, *others))

    def _save_areas(self) -> list[bytes]:
        order, reset = self.order, self.areas.reset_address
        if reset is None:
            raise StartFailure(
                "SEV information block/Firmware GUID Table block not found in pflash rom"
            )
        if not reset:
            raise StartFailure("SEV-ES reset address is zero")
        settings = (order.cpu_signature, order.save_area_kind, order.sev_features)
        first, other = save_area(BOOT_RESET_ADDRESS, *settings), save_area(reset, *settings)
        return [first, *[other] * (order.vcpus - 1)]

    def _check_address(self, address: int, length: int) -> None:
        if not self.memory.contains(address, 1):
            raise QmpError(
                "SEV: Failed to calculate guest address: "
                f"No memory is mapped at address 0x{address:x}"
            )
        if not self.memory.contains(address, length):
            raise QmpError(
                "SEV: Failed to calculate guest address: "
                f"Size of memory region at 0x{address:x} exceeded."
            )


def _injection_failed(number: int, status: FirmwareStatus) -> QmpError:
    return QmpError(
        f"SEV: failed to inject secret ret=-{number} fw_error={int(status)} '{status.text}'"
    )


def check_order(order: StartOrder) -> None:
    """Refuse what QEMU refuses about its command line, and what is too much to simulate.

    Raises StartFailure, and UsageError ``simulated-machine-size``.
    """
    if not order.firmware or len(order.firmware) % _FLASH_BLOCK:
        raise StartFailure(
            f"system firmware block device has invalid size {len(order.firmware)}",
            f"its size must be a non-zero multiple of 0x{_FLASH_BLOCK:x}",
        )
    if order.initrd is not None and order.kernel is None:
        raise StartFailure("-initrd only allowed with -kernel option")
    if order.command_line and order.kernel is None:
        raise StartFailure("-append only allowed with -kernel option")
    if len(order.firmware) > _MOST_FIRMWARE or not 1 <= order.vcpus <= _MOST_VCPUS:
        raise UsageError(
            "simulated-machine-size",
            "Such a machine can't be simulated",
            f"Firmware of {len(order.firmware)} bytes, {order.vcpus} virtual processors.",
            f"Firmware goes up to {_MOST_FIRMWARE} bytes, processors from 1 to {_MOST_VCPUS}.",
        )
