# SPDX-License-Identifier: Apache-2.0
"""A small root that really boots: busybox, a kernel, an initrd with Debian's cryptroot script."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from watchword.core.image.initrd import InitrdFile, build_archive

from ..core.image.root_tree import Tree

HELLO: Final = "hello from inside the built image"
KERNEL: Final = "boot/vmlinuz-6.1.0-99-cloud-amd64"
INITRD: Final = "boot/initrd.img-6.1.0-99-cloud-amd64"

_NEEDED: Final = ("virtio_pci", "virtio_blk", "dm-crypt", "ecb", "xts")
_SECONDS: Final = 60
_VERSION: Final = re.compile(rb"([0-9]+[.][0-9]+[.][0-9]+[A-Za-z0-9.+-]*) \([^)]*@")
_DEPENDS: Final = re.compile(rb"\0depends=([^\0]*)\0")

_INIT: Final = """\
#!/bin/busybox sh
export PATH=/bin:/sbin:/usr/sbin:/usr/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules.order); do insmod "/modules/$module.ko"; done
/bin/sh /scripts/local-top/cryptroot
for word in $(cat /proc/cmdline); do
    case "$word" in root=UUID=*) root="${word#root=UUID=}" ;; esac
done
uuid="$(dd if=/dev/mapper/cr_root bs=1 skip=1128 count=16 2>/dev/null | hexdump -v -e '/1 "%02x"')"
[ "$uuid" = "$(echo "$root" | tr -d -)" ] || {
    echo "no root of $root, but $uuid"
    poweroff -f
}
mount -t ext4 -o ro /dev/mapper/cr_root /root && exec switch_root /root /sbin/init
poweroff -f
"""
_ROOT_INIT: Final = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox cat /proc/cmdline /etc/hello.txt
/bin/busybox echo "web1 login: "
/bin/busybox poweroff -f
"""


def make_root(path: Path, kernel: Path, modules: Path, scripts: Path) -> Path:
    """A tar of a root with this kernel, whose modules are below ``modules``, if it has any.

    ``scripts``  what of Debian's goes into the initrd as it is
    """
    busybox = _program("busybox").read_bytes()
    tree = Tree(path)
    for folder in ("./", "bin", "boot", "dev", "etc", "proc", "root", "root/.ssh", "sbin", "sys"):
        tree.folder(folder)
    tree.add("bin/busybox", busybox, mode=0o755)
    tree.add("sbin/init", _ROOT_INIT.encode(), mode=0o755)
    tree.add("etc/hello.txt", f"{HELLO}\n".encode())
    tree.add("root/.ssh/authorized_keys", b"ssh-ed25519 AAAA owner\n", mode=0o600)
    tree.add(KERNEL, kernel.read_bytes())
    tree.add(INITRD, make_initrd(busybox, kernel, modules, scripts))
    return tree.close()


def make_initrd(busybox: bytes, kernel: Path, modules: Path, scripts: Path) -> bytes:
    """Debian's own scripts and cryptsetup where Debian has them, busybox, and modules."""
    files = [
        InitrdFile(folder, None, 0o755)
        for folder in ("dev", "proc", "root", "run", "sys", "tmp", "usr/bin")
    ]
    files += [
        InitrdFile("init", _INIT.encode(), 0o755),
        InitrdFile("bin/busybox", busybox, 0o755),
        # Of busybox, for scripts that begin so.
        InitrdFile("bin/sh", busybox, 0o755),
    ]
    files += [
        InitrdFile(str(script.relative_to(scripts)), script.read_bytes(), 0o755)
        for script in sorted(scripts.rglob("*"))
        if script.is_file()
    ]
    programs = [_program(name) for name in ("cryptsetup", "dmsetup", "blkid")]
    files += [InitrdFile(f"sbin/{one.name}", one.read_bytes(), 0o755) for one in programs]
    files += [
        InitrdFile(str(library)[1:], library.read_bytes(), 0o755)
        for library in sorted({library for one in programs for library in _libraries(one)})
    ]
    found = list(_with_what_they_need(modules, _NEEDED))
    files.append(InitrdFile("modules.order", "\n".join(n.stem for n in found).encode(), 0o644))
    files += [InitrdFile(f"modules/{one.name}", one.read_bytes(), 0o644) for one in found]
    files += _for_modprobe(kernel, modules / "efi_secret.ko")
    return gzip.compress(build_archive(files), 6, mtime=0)


def _for_modprobe(kernel: Path, module: Path) -> Iterator[InitrdFile]:
    """A module where modprobe looks for it, for kernels that don't have it built in."""
    if not module.is_file():
        return
    version = _VERSION.search(kernel.read_bytes()[: 1 << 16])
    assert version is not None, kernel
    folder = f"lib/modules/{version[1].decode()}"
    yield InitrdFile(f"{folder}/{module.name}", module.read_bytes(), 0o644)
    yield InitrdFile(f"{folder}/modules.dep", f"{module.name}:\n".encode(), 0o644)


def _program(name: str) -> Path:
    found = shutil.which(name, path="/bin:/usr/bin:/sbin:/usr/sbin")
    assert found is not None, name
    return Path(found)


def _libraries(program: Path) -> list[Path]:
    """What ``ldd`` names, and what libc loads by itself when a thread ends."""
    listed = subprocess.run(
        ["/usr/bin/ldd", program], capture_output=True, text=True, check=True, timeout=_SECONDS
    ).stdout
    found = [Path(word) for word in re.findall(r"(/\S+) \(0x", listed)]
    return [*found, Path("/lib/x86_64-linux-gnu/libgcc_s.so.1")]


def _with_what_they_need(modules: Path, names: Iterable[str]) -> Iterator[Path]:
    """The modules in the order in which they can be loaded; what is built in is passed over."""
    files = {path.stem.replace("-", "_"): path for path in modules.rglob("*.ko")}
    done: set[str] = set()

    def visit(name: str) -> Iterator[Path]:
        name = name.replace("-", "_")
        if name in done or name not in files:
            return
        done.add(name)
        needs = _DEPENDS.search(files[name].read_bytes())
        for other in needs[1].decode().split(",") if needs else ():
            yield from visit(other)
        yield files[name]

    for name in names:
        yield from visit(name)
