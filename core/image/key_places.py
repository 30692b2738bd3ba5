# SPDX-License-Identifier: Apache-2.0
"""Finds the boot key where an image keeps it inside its encrypted root, and replaces it there.

It is in a key file, which the guest's initrd brings along: GRUB opens the disk with the
key that it was injected, and Linux opens it once more with its own copy. A key of the same
length is written over it; no file changes its size, its place or its owner.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ..errors import BadInput
from ..secret import Secret
from .encrypted_volume import EncryptedVolume
from .ext4_files import Ext4, Extent, Inode
from .image_errors import IMAGE

_INITRD: Final = re.compile(r"(?:initrd|initramfs).*")
_MENUS: Final = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
_MENU_LINE: Final = re.compile(r"^\s*initrd\S*[ \t]+(/.*)$", re.MULTILINE)
_LARGEST_MENU: Final = 1 << 20
_CPIO: Final = b"070701"
_CPIO_HEAD: Final = 110
_HEX: Final = re.compile(rb"[0-9A-Fa-f]{104}")
_LARGEST_INITRD: Final = 512 << 20


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """One copy of the key: in which file, and where its bytes lie in the volume.

    ``is_new``  whether the new key is there already
    """

    path: str
    extents: tuple[Extent, ...]
    is_new: bool


@dataclass(frozen=True, slots=True)
class KeyPlaces:
    """All copies of the key, and what was found out on the way.

    ``without_key``   initial RAM disks that GRUB's menu names (all, where there is none), and
    in which the key does not stand in clear
    ``mounted``       whether a guest has mounted the file system since it was made
    """

    places: tuple[KeyPlace, ...]
    without_key: tuple[str, ...]
    mounted: bool


def key_file(uuid: str) -> str:
    """Where the key of a volume lies in its root."""
    return f"/etc/cryptsetup-keys.d/luks-{uuid}.key"


def find_key_places(
    volume: EncryptedVolume, uuid: str, old: Secret, new: Secret | None
) -> KeyPlaces:
    """Every copy of the old key, or already of the new one.

    Raises BadInput ``image-key-file-differs``, ``image-file-system``, ``image-not-shut-down``.
    """
    system = Ext4(volume.read, volume.size)
    path = key_file(uuid)
    inode = system.find(path)
    found: list[KeyPlace] = []
    if inode is not None:
        found += _in_file(system, path, inode, old, new)
        if not found and new is not None and inode.size == len(new):
            found.append(_torn(system, path, inode, 0, new))
        if not found or inode.size != len(old):
            raise _differs(path)
    started = _started_from(system)
    missing = []
    for name, initrd in _initrds(system):
        here = _in_file(system, name, initrd, old, new)
        if not here and new is not None:
            here = _in_cpio(system, name, initrd, path, new)
        found += here
        if not here and (not started or initrd.number in started):
            missing.append(name)
    return KeyPlaces(tuple(found), tuple(missing) if inode is not None else (), system.mounted)


def replace_key(
    volume: EncryptedVolume, places: KeyPlaces, new: Secret, observe: Callable[[str], object]
) -> None:
    """Write the new key over the old one wherever it stands; each place is read again."""
    for place in places.places:
        if place.is_new:
            continue
        with new.reveal() as key:
            done = 0
            for extent in place.extents:
                piece = bytes(key[done : done + extent.size])
                volume.write(extent.offset, piece)
                if volume.read(extent.offset, extent.size) != piece:
                    raise _not_written(place.path)
                done += extent.size
        observe("key-file-written")


def _in_file(
    system: Ext4, path: str, inode: Inode, old: Secret, new: Secret | None
) -> list[KeyPlace]:
    if not inode.is_file or inode.size > _LARGEST_INITRD:
        return []
    content = system.read(inode, 0, inode.size)
    found = []
    for key, is_new in ((old, False), (new, True)):
        if key is None:
            continue
        with key.reveal() as view:
            wanted = bytes(view)
        for match in re.finditer(re.escape(wanted), content):
            places = system.places(inode, match.start(), len(wanted))
            found.append(KeyPlace(path, places, is_new))
    return found


def _in_cpio(system: Ext4, path: str, inode: Inode, member: str, new: Secret) -> list[KeyPlace]:
    """Where a cpio holds the key by its name, after a power cut in the middle of writing it."""
    content = system.read(inode, 0, inode.size)
    found = []
    names = rb"(?:%s|cryptroot/keyfiles/[^\0/]{1,64}\.key)\0" % re.escape(member[1:].encode())
    for match in re.finditer(names, content):
        head = content.rfind(_CPIO, max(0, match.start() - _CPIO_HEAD - 2), match.start())
        fields = content[head + 6 : head + _CPIO_HEAD] if head >= 0 else b""
        if not _HEX.fullmatch(fields):
            continue
        size, name_size = int(fields[48:56], 16), int(fields[88:96], 16)
        if size == len(new):
            at = head + -(-(_CPIO_HEAD + name_size) // 4) * 4
            found.append(_torn(system, path, inode, at, new))
    return found


def _torn(system: Ext4, path: str, inode: Inode, at: int, new: Secret) -> KeyPlace:
    return KeyPlace(path, system.places(inode, at, len(new)), is_new=False)


def _initrds(system: Ext4) -> Iterator[tuple[str, Inode]]:
    folder = system.find("/boot")
    if folder is None:
        return
    seen = set()
    for name in sorted(name for name, _ in system.folder(folder)):
        path = f"/boot/{name}"
        if not _INITRD.fullmatch(name) or (inode := system.find(path)) is None:
            continue
        if inode.is_file and inode.number not in seen:  # names that are links to another one
            seen.add(inode.number)
            yield path, inode


def _started_from(system: Ext4) -> frozenset[int]:
    """The inodes of the initial RAM disks that GRUB's menu names; empty for not known."""
    found = set()
    for menu in _MENUS:
        inode = system.find(menu)
        if inode is None or not inode.is_file or inode.size > _LARGEST_MENU:
            continue
        text = system.read(inode, 0, inode.size).decode("utf-8", "replace")
        if "blscfg" in text:
            return frozenset()  # the menu is in other files
        for line in _MENU_LINE.findall(text):
            for path in line.split():
                initrd = system.find(path) or system.find(f"/boot{path}")
                if initrd is not None:
                    found.add(initrd.number)
    return frozenset(found)


def initrds_without_key(paths: tuple[str, ...]) -> BadInput:
    """BadInput ``image-initrd-without-key``: the key is in there compressed, or not at all."""
    return BadInput(
        "image-initrd-without-key",
        IMAGE,
        f"The root holds a key file, but {', '.join(paths[:5])} does not hold that key where it"
        " can be replaced: the guest has made it anew since the image was built, and has packed"
        " the key into it. With another key the guest would ask for a passphrase when it starts.",
        "Replace the key inside the guest (docs/images.md), or build the image again. If that file"
        " is not what the guest starts from, say --leave-initrd. Nothing was changed.",
        {"initrds": list(paths[:20])},
    )


def _differs(path: str) -> BadInput:
    return BadInput(
        "image-key-file-differs",
        IMAGE,
        f"{path} in it holds something else than the key that opens it from the vault.",
        "Put the key back there from inside the guest, or build the image again. Nothing was"
        " changed.",
        {"path": path},
    )


def _not_written(path: str) -> BadInput:
    return BadInput(
        "image-not-written",
        IMAGE,
        f"{path} in it does not hold what was written there.",
        "Check the disk that the image is on. Both keys open the image still; run `image rekey`"
        " again.",
    )
