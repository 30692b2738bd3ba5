# SPDX-License-Identifier: Apache-2.0
"""Contents for QEMU in anonymous files, and the command line that names them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from .qemu_errors import qemu_missing
from .virtual_machine import Disk, StartOrder

PROGRAM = "qemu-system-x86_64"
_FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")


def find_program(name: str) -> str | None:
    """The whole path of a program on PATH, or in the folders that PATH may lack."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_FOLDERS))
    found = shutil.which(name, path=path)
    return None if found is None else str(Path(found).absolute())


def find_qemu() -> str:
    """The whole path of QEMU; raises UsageError ``program-missing``."""
    found = find_program(PROGRAM)
    if found is None:
        raise qemu_missing(PROGRAM)
    return found


class HandedFiles:
    """Descriptors that one QEMU is to have; a context manager that closes this side's copies.

    QEMU opens contents under the names of its own descriptors, so that it boots the very
    bytes that were measured, and no copy of them is left anywhere.
    """

    def __init__(self) -> None:
        self.descriptors: list[int] = []

    def __enter__(self) -> HandedFiles:
        return self

    def __exit__(self, *_exception: object) -> None:
        descriptors, self.descriptors = self.descriptors, []
        for descriptor in descriptors:
            os.close(descriptor)

    def content(self, data: bytes) -> str:
        """The name under which QEMU finds these bytes."""
        descriptor = os.memfd_create("for-qemu", os.MFD_CLOEXEC)
        self.descriptors.append(descriptor)
        with memoryview(data) as view:
            done = 0
            while done < len(view):
                done += os.write(descriptor, view[done:])
        return f"/proc/self/fd/{descriptor}"


def command_line(
    order: StartOrder, files: HandedFiles, ram: int, channels: Sequence[int]
) -> list[str]:
    """QEMU and its arguments, paused, without SEV and without KVM.

    ``ram`` is the descriptor of the guest's memory, ``channels`` are those of the socket for
    the monitor, of the pipe for the console, and of the socket for the question to fw_cfg.
    """
    monitor, console, question = channels
    size = order.ram_size
    command = [find_qemu(), "-S", "-nodefaults", "-no-user-config", "-display", "none"]
    command += ["-no-reboot", "-machine", "q35,accel=tcg,memory-backend=ram0", "-cpu", "max"]
    command += ["-smp", str(order.vcpus), "-m", f"{size}B"]
    backend = f"memory-backend-file,id=ram0,size={size},share=on,mem-path=/proc/self/fd/{ram}"
    command += ["-object", backend]
    firmware = files.content(order.firmware)
    command += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={firmware}"]
    for name, descriptor in (("monitor", monitor), ("question", question)):
        command += ["-chardev", f"socket,id={name},fd={descriptor}"]
    command += ["-mon", "chardev=monitor,mode=control"]
    # A pipe and no socket: QEMU writes a console byte by byte, a socket is full after some
    # hundred writes, and what does not get in is lost.
    command += ["-chardev", f"file,id=console,path=/proc/self/fd/{console}"]
    command += ["-serial", "chardev:console"]
    command += ["-object", "qtest,id=fwcfg,chardev=question,log=/dev/null"]
    return command + _boot(order, files) + _disk(order.disk)


def _boot(order: StartOrder, files: HandedFiles) -> list[str]:
    if order.kernel is None:
        return []
    kernel = order.kernel if order.swapped_kernel is None else order.swapped_kernel
    options = ["-kernel", files.content(kernel), "-append", order.command_line or ""]
    if order.initrd is not None:
        options += ["-initrd", files.content(order.initrd)]
    return options


def _disk(disk: Disk | None) -> list[str]:
    if disk is None:
        return []
    # By node options: a name such as nbd:… would be a protocol in file=.
    path = str(disk.path.absolute()).replace(",", ",,")
    drive = f"if=none,id=disk0,driver={disk.format},file.driver=file,file.filename={path}"
    device = "virtio-blk-pci,drive=disk0,bootindex=1"
    return ["-drive", f"{drive},snapshot=on", "-device", device]
