# SPDX-License-Identifier: Apache-2.0
"""Checks a watch's settings before they count: guests, hosts, certificates, folders, groups."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..batch.guest_check import look_at_guest
from ..errors import BadInput, WatchwordError
from ..files import read_file
from ..guest.fields import is_newer_format
from ..guest.problems import Problem, ProfileInvalid, ProfilePath
from ..guest.profile import GuestProfile
from ..guest.store import ProfileStore
from ..guest.watch_limits import FirstFirmware
from ..sev.chain_files import LARGEST_FILE, recognise
from .listening import LONGEST_PATH
from .platforms import CertificateFiles, Platform
from .rules import WatchRules
from .settings import MOST_PROBLEMS, ReadSettings, read_settings
from .settings_errors import WatchFileInvalid, WatchFileRefused
from .settings_values import TcpPlace, domains_of


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedLibvirt:
    """A libvirt of which the domains are watched: its URL, and guests by domains' names."""

    url: str
    guests: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """Settings in which nothing is wrong.

    ``rules``      by which the watch goes
    ``folder``     into which requests are dropped, and whether its group may read the answers
    ``socket``     on which they are taken, and ``group`` may connect to it too
    ``libvirts``   of which the domains are watched
    ``platforms``  certificates for requests that bring none, the first that fits
    ``metrics``    where they may be asked for: a socket file, or an address of loopback
    ``warnings``   what had better be known of the guests
    """

    rules: WatchRules
    folder: Path | None = None
    folder_group_reads: bool = False
    socket: Path | None = None
    group: int | None = None
    libvirts: tuple[WatchedLibvirt, ...] = ()
    platforms: tuple[Platform, ...] = ()
    metrics: Path | TcpPlace | None = None
    warnings: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[object, ...]:
        """Where it listens and looks: what a reload does not change."""
        return (
            *(self.folder, self.folder_group_reads, self.socket, self.group),
            *(self.libvirts, self.metrics),
        )


@dataclass(slots=True)
class _Found:
    """Everything that was found so far."""

    problems: list[Problem] = field(default_factory=list)
    refusals: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, path: ProfilePath, sentence: str) -> None:
        self.problems.append(Problem(path, sentence))


def check_settings(
    data: bytes,
    field: str,
    folder: Path,
    profiles: ProfileStore,
    vault_entries: Collection[str] | None = None,
) -> WatchSettings:
    """The settings in a file's bytes; nothing is listened on or written.

    ``field`` is for errors; paths in the file begin at ``folder``; ``vault_entries`` are the
    names of the vault's entries, None where they are not known.
    Raises WatchFileInvalid (exit 6), WatchFileRefused (exit 3) if there is nothing wrong but
    guests that may not be launched where nobody looks, and BadInput as ``read_settings`` does.
    """
    read = read_settings(data, field)
    if is_newer_format(read.document.get("format")):
        raise WatchFileInvalid(field, read.locate(list(read.problems)))
    check = _Check(read, folder, profiles, vault_entries)
    settings = check.run()
    problems = [*read.problems, *check.found.problems]
    told = read.locate([*problems, *check.found.refusals])
    untold = read.untold + max(0, len(told) - MOST_PROBLEMS)
    if problems:
        raise WatchFileInvalid(field, told[:MOST_PROBLEMS], untold)
    if told:
        raise WatchFileRefused(field, told[:MOST_PROBLEMS], untold)
    return settings


class _Check:
    """One check of one file."""

    def __init__(
        self,
        read: ReadSettings,
        folder: Path,
        profiles: ProfileStore,
        vault_entries: Collection[str] | None,
    ) -> None:
        self._read = read
        self._folder = folder
        self._store = profiles
        self._entries = None if vault_entries is None else frozenset(vault_entries)
        self._unsound = {problem.path[0] for problem in read.problems if problem.path}
        self.found = _Found()

    def run(self) -> WatchSettings:
        """What is sound; what is wrong with the rest is in ``found``."""
        file = self._read.file
        guests = {} if "guests" in self._unsound else self._guests()
        libvirts = tuple(self._libvirt(index) for index in self._read.libvirt)
        platforms = self._platforms()
        self._somebody_may_ask()
        patterns = [host.url for host in self._read.hosts.values()]
        patterns += [domains_of(libvirt.url) for libvirt in libvirts]
        metrics = file.metrics
        return WatchSettings(
            rules=WatchRules(
                guests=guests,
                hosts=tuple(patterns),
                approvals=None if file.approvals is None else self._folder / file.approvals,
                expire_seconds=file.expire_seconds,
                jobs=file.jobs,
                most_waiting=file.most_waiting,
            ),
            folder=self._request_folder(),
            folder_group_reads=file.folder is not None and file.folder.group_reads,
            socket=None if file.socket is None else self._socket("socket", file.socket.path),
            group=self._group(),
            libvirts=libvirts,
            platforms=platforms,
            metrics=self._socket("metrics", metrics) if isinstance(metrics, str) else metrics,
            warnings=tuple(self.found.warnings),
        )

    # -- guests --------------------------------------------------------------------

    def _guests(self) -> dict[str, GuestProfile]:
        found: dict[str, GuestProfile] = {}
        for index, name in enumerate(self._read.file.guests):
            place = ("guests", index)
            if name in found:
                self.found.add(place, f"Guest “{name}” stands here twice.")
                continue
            try:
                profile = self._store.load(name).profile
            except ProfileInvalid as error:
                for problem in error.problems:
                    self.found.add(place, f"In profile “{name}”: {problem}")
            except WatchwordError as error:
                self.found.add(place, f"{error.message} {error.remedy}")
            else:
                found[name] = profile
                self._judge(place, profile)
        return found

    def _judge(self, place: ProfilePath, profile: GuestProfile) -> None:
        said = look_at_guest(profile, self._entries, inline=False, what="watch")
        who = f"Guest “{profile.name}”: "
        for sentence in said.problems:
            self.found.add(place, who + sentence)
        self.found.refusals += [Problem(place, who + sentence) for sentence in said.refusals]
        self.found.warnings += [who + sentence for sentence in said.warnings]
        if profile.watch is None:
            self.found.refusals.append(
                Problem(
                    place,
                    f"{who}Its profile does not say how many may be live, so that none is launched"
                    " on request: give it a [watch] table with instances_at_most.",
                )
            )
        elif (
            profile.watch.first_firmware is FirstFirmware.ASK
            and self._read.file.approvals is None
            and "approvals" not in self._unsound
        ):
            self.found.add(
                place,
                f"{who}A person is to be asked about first firmware, and these settings name no"
                " folder for that: approvals = “FOLDER”.",
            )

    # -- hosts ---------------------------------------------------------------------

    def _platforms(self) -> tuple[Platform, ...]:
        found = []
        for index, host in self._read.hosts.items():
            files = self._certificates(("hosts", index, "certificates"), host.certificates)
            if files:
                found.append(Platform(host.url, files))
        for index, libvirt in self._read.libvirt.items():
            files = self._certificates(("libvirt", index, "certificates"), libvirt.certificates)
            if files:
                found.append(Platform(domains_of(libvirt.url), files))
        return tuple(found)

    def _libvirt(self, index: int) -> WatchedLibvirt:
        table = self._read.libvirt[index]
        for pattern, guest in table.guests.items():
            if "guests" not in self._unsound and guest not in self._read.file.guests:
                self.found.add(
                    ("libvirt", index, "guests", pattern),
                    f"Guest “{guest}” is none of those that are served: add it to guests.",
                )
        return WatchedLibvirt(url=table.url, guests=tuple(table.guests.items()))

    def _certificates(self, place: ProfilePath, names: Sequence[str]) -> CertificateFiles:
        try:
            files = tuple(
                (name, read_file(self._folder / name, name, LARGEST_FILE)) for name in names
            )
            if files:
                recognise(files)
        except BadInput as error:
            self.found.add(place, f"{error.title}. {error.message} {error.remedy}")
            return ()
        return files

    # -- where requests come from --------------------------------------------------

    def _somebody_may_ask(self) -> None:
        file = self._read.file
        stated = {"folder", "socket", "libvirt"} & (self._unsound | set(self._read.document))
        if not stated and file.folder is None:
            self.found.add(
                (), "Nobody could ask: it takes a [folder], a [socket] or a [[libvirt]]."
            )
        hosts = {"hosts", "libvirt"} & set(self._read.document)
        if not hosts:
            self.found.add((), "No VM could be launched: name their hosts under [[hosts]].")

    def _request_folder(self) -> Path | None:
        table = self._read.file.folder
        if table is None:
            return None
        path = self._folder / table.path
        if not path.is_dir():
            self.found.add(
                ("folder", "path"), f"{path} is no folder. Make it, for those who may ask."
            )
        return path

    def _socket(self, key: str, name: str) -> Path:
        path = self._folder / name
        place: ProfilePath = (key, "path") if key == "socket" else (key,)
        if len(os.fsencode(path)) > LONGEST_PATH:
            self.found.add(place, f"The path of a socket has {LONGEST_PATH} bytes at most: {path}.")
        elif path.exists() and not path.is_socket():
            self.found.add(place, f"{path} is there, and is no socket.")
        return path

    def _group(self) -> int | None:
        table = self._read.file.socket
        if table is None or table.group is None:
            return None
        if table.group.isdigit():
            return int(table.group)
        import grp  # noqa: PLC0415 - not on every system

        try:
            return grp.getgrnam(table.group).gr_gid
        except KeyError:
            self.found.add(("socket", "group"), f"There is no group “{table.group}”.")
            return None
