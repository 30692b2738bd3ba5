# SPDX-License-Identifier: Apache-2.0
"""What a root file system needs in order to start from an encrypted disk: its files as text.

Pure functions over what the root has; ext4_editing writes what they give.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import BadInput
from ..sev.secret_table import Route
from .ext4_editing import Ext4Editor, NewContent
from .initrd import InitrdFile, InitrdKind
from .key_places import key_file
from .order import MAPPED_NAME
from .root_entries import ROOT

SECRET_FILE: Final = (  # a path
    "/sys/kernel/security/secrets/coco/736869e5-84f0-4973-92ec-06879ce3da0b"  # noqa: S105
)
_LARGEST_TEXT: Final = 1 << 20
_SCRIPT: Final = "/lib/cryptsetup/scripts/watchword-efi-secret"
_SCRIPT_TEXT: Final = f"""\
#!/bin/sh
# Gives cryptsetup the key that the owner injected; GRUB's form ends with a zero byte.
modprobe -q efi_secret 2>/dev/null
[ -d /sys/kernel/security/secrets ] || mount -t securityfs securityfs /sys/kernel/security
tr -d '\\000' <{SECRET_FILE}
""".encode()
_KERNEL: Final = re.compile(r"vmlinuz-([A-Za-z0-9._+-]+)")
_MOST_KERNELS: Final = 16
_MOUNTED_BY_US: Final = ("/", "/boot", "/boot/efi", "/boot/firmware")
_MARK: Final = "# by Watchword: "


@dataclass(frozen=True, slots=True)
class Ids:
    """The names that parts of the image go by: LUKS UUID, ext4 UUID, FAT volume id (8 digits)."""

    luks: str
    root: str
    esp: str

    @property
    def esp_uuid(self) -> str:
        """The ESP's id as Linux writes it."""
        return f"{self.esp[:4]}-{self.esp[4:]}".upper()


@dataclass(frozen=True, slots=True)
class Boot:
    """The kernel that is started and its initial RAM disk, as paths in the root."""

    kernel: str
    initrd: str


def find_boots(editor: Ext4Editor) -> list[Boot]:
    """The kernels in /boot that have an initial RAM disk, the newest first, at most 16.

    Raises BadInput ``root-without-kernel`` where there is none.
    """
    names = editor.names("/boot")
    found = []
    for name in names:
        match = _KERNEL.fullmatch(name)
        version = match[1] if match else ""
        if not match and name != "vmlinuz":
            continue
        end = f"-{version}" if version else ""
        for initrd in (f"initrd.img{end}", f"initramfs{end}.img", f"initrd{end}"):
            if initrd in names and editor.is_plain_file(f"/boot/{initrd}"):
                found.append((_order(version), Boot(f"/boot/{name}", f"/boot/{initrd}")))
                break
    if not found:
        raise BadInput(
            "root-without-kernel",
            ROOT,
            "There is no kernel with an initial RAM disk in its /boot, as vmlinuz-VERSION and"
            " initrd.img-VERSION or initramfs-VERSION.img.",
            "Install a kernel in the guest (linux-image-amd64 on Debian); if /boot is a partition"
            " of its own there, put it into the root first.",
        )
    found.sort(key=lambda one: one[0], reverse=True)
    boots: dict[int | None, Boot] = {}
    for _, boot in found:  # names that are links to another one are left out
        boots.setdefault(editor.number(boot.initrd), boot)
    return list(boots.values())[:_MOST_KERNELS]


def _order(version: str) -> list[tuple[int, int | str]]:
    """Versions as people count them: 6.10 is newer than 6.9."""
    parts = re.findall(r"[0-9]+|[a-z]+", version)
    return [(1, int(part)) if part.isdigit() else (0, part) for part in parts]


def kernel_words(ids: Ids, order_words: str) -> str:
    """The kernel's command line."""
    return f"root=UUID={ids.root} rd.luks.uuid={ids.luks} {order_words}".strip()


def changes(
    editor: Ext4Editor, ids: Ids, boots: Sequence[Boot], *, route: Route, words: str, key: bytes
) -> dict[str, NewContent]:
    """Every file to put into the root but the initrds; ``key`` is written where the key belongs."""
    where = key_file(ids.luks) if route is Route.GRUB else SECRET_FILE
    files = {
        "/etc/crypttab": _crypttab(_text(editor, "/etc/crypttab"), ids, where, route),
        "/etc/fstab": _fstab(_text(editor, "/etc/fstab"), ids),
        "/etc/default/grub": _default_grub(_text(editor, "/etc/default/grub"), ids),
        "/etc/dracut.conf.d/cryptodisk.conf": 'install_items+=" /etc/cryptsetup-keys.d/*'
        ' /etc/crypttab "\n',
        "/etc/cryptsetup-initramfs/conf-hook": _with_line(
            _text(editor, "/etc/cryptsetup-initramfs/conf-hook"),
            'KEYFILE_PATTERN="/etc/cryptsetup-keys.d/*"',
        ),
        # The initrd holds the key: nobody but root may read it.
        "/etc/initramfs-tools/conf.d/watchword": "UMASK=0077\n",
    }
    made = {path: NewContent(text.encode()) for path, text in files.items()}
    if route is Route.GRUB:
        made[key_file(ids.luks)] = NewContent(key, 0o600, 0o700)
        menu = NewContent(_menu(ids, boots, words).encode(), 0o600)
        made["/boot/grub/grub.cfg"] = made["/boot/grub2/grub.cfg"] = menu
    if _uses_selinux(editor):
        made["/.autorelabel"] = NewContent(b"")
    return made


def initrd_files(ids: Ids, kind: InitrdKind, route: Route, key: bytes) -> Iterator[InitrdFile]:
    """The second archive: ``crypttab``, and what opens the disk, as both families look for it."""
    secret = route is Route.KERNEL
    place = SECRET_FILE if secret else key_file(ids.luks)
    if not kind.is_debian or kind.is_dracut:
        yield InitrdFile("etc/crypttab", _line(ids, place, "luks").encode(), 0o600)
        if not secret:
            yield InitrdFile("etc/cryptsetup-keys.d", None, 0o700)
            yield InitrdFile(key_file(ids.luks)[1:], key, 0o600)
    if kind.is_debian or not kind.is_dracut:
        options = f"luks,keyscript={_SCRIPT}" if secret else "luks"
        inside = "none" if secret else f"/cryptroot/keyfiles/{MAPPED_NAME}.key"
        yield InitrdFile("cryptroot", None, 0o700)
        yield InitrdFile("cryptroot/crypttab", _line(ids, inside, options).encode(), 0o600)
        if secret:
            yield InitrdFile(_SCRIPT[1:], _SCRIPT_TEXT, 0o755)
        else:
            yield InitrdFile("cryptroot/keyfiles", None, 0o700)
            yield InitrdFile(f"cryptroot/keyfiles/{MAPPED_NAME}.key", key, 0o600)


def ways_in(editor: Ext4Editor) -> bool:
    """Whether anybody could log in: a password in /etc/shadow, or root's authorized_keys."""
    for line in _text(editor, "/etc/shadow").splitlines():
        fields = line.split(":")
        if len(fields) > 1 and fields[1] and fields[1][0] not in "!*":
            return True
    keys = _text(editor, "/root/.ssh/authorized_keys")
    return any(line.strip() and not line.startswith("#") for line in keys.splitlines())


def _text(editor: Ext4Editor, path: str) -> str:
    return (editor.read(path, _LARGEST_TEXT) or b"").decode("utf-8", "surrogateescape")


def _line(ids: Ids, place: str, options: str) -> str:
    return f"{MAPPED_NAME} UUID={ids.luks} {place} {options}\n"


def _crypttab(old: str, ids: Ids, place: str, route: Route) -> str:
    """The old lines name devices that are gone, and a guest would wait for them: put out of use.

    Of the four fields the key comes third and the options fourth, as crypttab(5) has it.
    """
    kept = "".join(_out_of_use(line) for line in old.splitlines())
    options = f"luks,keyscript={_SCRIPT}" if route is Route.KERNEL else "luks"
    return kept + _line(ids, place if route is Route.GRUB else "none", options)


def _fstab(old: str, ids: Ids) -> str:
    lines = []
    for line in old.splitlines():
        fields = line.split()
        ours = len(fields) > 2 and (fields[1] in _MOUNTED_BY_US or fields[2] == "swap")
        lines.append(_out_of_use(line) if ours else f"{line}\n")
    lines.append(f"UUID={ids.root} / ext4 errors=remount-ro 0 1\n")
    lines.append(f"UUID={ids.esp_uuid} /boot/efi vfat umask=0077,nofail 0 2\n")
    return "".join(lines)


def _out_of_use(line: str) -> str:
    return f"{line}\n" if not line.strip() or line.startswith("#") else f"{_MARK}{line}\n"


def _default_grub(old: str, ids: Ids) -> str:
    text = _with_line(old, "GRUB_ENABLE_CRYPTODISK=y")  # GRUB looks for y, and for nothing else
    return _with_line(text, f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX rd.luks.uuid={ids.luks}"')


def _with_line(old: str, line: str) -> str:
    if line in old.splitlines():
        return old
    return f"{old}{'' if not old or old.endswith(chr(10)) else chr(10)}{line}\n"


def _menu(ids: Ids, boots: Sequence[Boot], words: str) -> str:
    """The first is started; the others are there for whoever sets another default."""
    return (
        "# By Watchword: the disk is open when GRUB reads this. update-grub replaces it.\n"
        "set timeout=0\nset default=0\n"
    ) + "".join(
        f"menuentry 'Linux, {boot.kernel.rpartition('/')[2]}' {{\n"
        f"  linux {boot.kernel} {kernel_words(ids, words)}\n"
        f"  initrd {boot.initrd}\n}}\n"
        for boot in boots
    )


def _uses_selinux(editor: Ext4Editor) -> bool:
    found = re.search(r"^SELINUX=(\w+)", _text(editor, "/etc/selinux/config"), re.MULTILINE)
    return found is not None and found[1] in ("enforcing", "permissive")
