# SPDX-License-Identifier: Apache-2.0
"""Makes the sources that a watch's settings name: a folder, a socket, libvirts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from .events import Source, WatchObserver
from .folder_source import FolderSource
from .platforms import Platform, WithPlatforms
from .settings_check import WatchSettings
from .socket_source import SocketSource

_GROUP_READS = 0o640


def sources_of(
    settings: WatchSettings,
    platforms: Callable[[], Sequence[Platform]],
    observe: WatchObserver,
) -> tuple[Source, ...]:
    """The sources, each with the certificates that the owner has of his hosts."""
    return tuple(WithPlatforms(one, platforms) for one in _sources(settings, observe))


def _sources(settings: WatchSettings, observe: WatchObserver) -> Iterator[Source]:
    if settings.folder is not None:
        mode = _GROUP_READS if settings.folder_group_reads else 0o600
        yield FolderSource(settings.folder, answer_mode=mode, observe=observe)
    if settings.socket is not None:
        yield SocketSource(settings.socket, group=settings.group, observe=observe)
    if settings.libvirts:
        from .libvirt_source import LibvirtSource  # noqa: PLC0415 - for those who have one

        for libvirt in settings.libvirts:
            yield LibvirtSource(libvirt.url, libvirt.guests, observe)
