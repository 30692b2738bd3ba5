# SPDX-License-Identifier: Apache-2.0
"""Takes requests that are dropped into a folder as files, and writes each answer beside its file.

NAME.json is a request (see request_json.py); NAME.answer.json is its answer, and once that
is on the disk the request is removed. A request whose answer is there already is removed
unread: nobody is answered twice. Write a request under another name and rename it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import BadInput
from ..files import read_file, write_file
from .ending import end_tasks
from .events import Later, Take, WatchObserver, unobserved
from .request_json import LARGEST_REQUEST, parse_event, refused_json, reply_json
from .shares import Shares, host_to_ask

SOURCE: Final = "folder"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\.json", re.ASCII)
_REQUEST: Final = ".json"
_ANSWER: Final = ".answer.json"
_FIELD: Final = "the folder of requests"
_MOST_REQUESTS: Final = 10_000
_MOST_ENTRIES: Final = 200_000
"""Of any kind: to look through more would hold everything up."""
_LONGEST_PAUSE: Final = 300.0
_OF_ONE_HOST: Final = 4
_WRITING_SECONDS: Final = 10.0
"""For how long what can't be read yet may be a file that somebody is writing."""


@dataclass(slots=True)
class _Seen:
    """A file as it was at the last look: identity, size and time; when to look at it again.

    ``host``  which has to answer, once the file was read; ``crowded``: too many wait for it
    """

    mark: tuple[int, int, int]
    since: float
    due: float = 0.0
    pause: float = 0.0
    at_work: bool = False
    host: str | None = None
    crowded: bool = False


class FolderSource:
    """A Source: a folder that exists already, whoever may write there.

    ``poll``     seconds between two looks; a file is read once it has not changed between two
    ``retry``    seconds before a request that could not be served yet is tried again, then twice
    as long each time, five minutes at most
    ``at_once``  requests that are worked on at once, half of them for one machine, and four for
    one host; the others stay in the folder
    ``answer_mode``  of the answers' files: 0o640 where a group is to read them
    """

    def __init__(
        self,
        folder: Path,
        *,
        poll: float = 0.5,
        retry: float = 5.0,
        at_once: int = 64,
        answer_mode: int = 0o600,
        observe: WatchObserver = unobserved,
    ) -> None:
        self._path = folder
        self._poll = poll
        self._retry = retry
        self._at_once = at_once
        self._answer_mode = answer_mode
        self._observe = observe
        self._seen: dict[str, _Seen] = {}
        self._shares = Shares(_OF_ONE_HOST, max(1, at_once // 2))

    @property
    def name(self) -> str:
        """The folder."""
        return f"{SOURCE} {self._path}"

    async def run(self, take: Take) -> None:
        """Look for requests until cancelled.

        BadInput ``bad-folder`` where there is no folder, ``folder-too-full``.
        """
        folder = _opened(self._path)
        self._seen.clear()
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                for name in self._ready(folder, self._at_once - len(tasks)):
                    task = asyncio.create_task(self._serve(folder, name, take))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                await asyncio.sleep(self._poll)
        finally:
            try:
                await end_tasks(lambda: tuple(tasks))
            finally:
                os.close(folder)

    # -- looking -----------------------------------------------------------------

    def _ready(self, folder: int, room: int) -> list[str]:
        """The requests that are to be worked on now, at most as many as there is room for."""
        now = asyncio.get_running_loop().time()
        present = _requests(folder)
        self._seen = {name: seen for name, seen in self._seen.items() if name in present}
        waiting: list[tuple[float, str]] = []
        for name, mark in present.items():
            seen = self._seen.get(name)
            if seen is None or (seen.mark != mark and not seen.at_work):
                self._seen[name] = _Seen(mark, now)
            elif not seen.at_work and seen.due <= now and self._shares.have_room(seen.host):
                waiting.append((max(seen.since, seen.due), name))
        # Whoever waits longest comes first, whatever names others give to theirs.
        ready = [name for _, name in sorted(waiting)[: max(0, room)]]
        for name in ready:
            self._seen[name].at_work = True
        return ready

    # -- one request -------------------------------------------------------------

    async def _serve(self, folder: int, name: str, take: Take) -> None:
        answer = name.removesuffix(_REQUEST) + _ANSWER
        try:
            data = await self._reply(folder, name, answer, take)
            if data is not None:
                write_file(answer, data, self._answer_mode, field=_FIELD, folder=folder)
        except BadInput as error:  # the answer can't be written: a full disk, or a trap
            self._tell(error, name)
            self._later(name)
            return
        if data is None and not _exists(folder, answer):
            self._later(name)
            return
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)

    async def _reply(self, folder: int, name: str, answer: str, take: Take) -> bytes | None:
        """The answer to a request; None if it was answered before, or can't be yet."""
        if _exists(folder, answer):
            return None
        try:
            event = parse_event(_read(folder, name), f"{SOURCE} {self._path}")
        except BadInput as error:
            return None if self._may_be_half_written(name, error) else refused_json(error)
        host = host_to_ask(event)
        if (seen := self._seen.get(name)) is not None:
            seen.host, seen.crowded = host, not self._shares.have_room(host)
            if seen.crowded:
                return None
        with self._shares.taken(host):
            reply = await take(event)
        return None if isinstance(reply, Later) else reply_json(reply)

    def _may_be_half_written(self, name: str, error: BadInput) -> bool:
        seen, now = self._seen.get(name), asyncio.get_running_loop().time()
        young = seen is not None and now < seen.since + _WRITING_SECONDS
        return young and error.code in ("bad-json", "file-changed", "file-empty")

    def _later(self, name: str) -> None:
        seen = self._seen.get(name)
        if seen is not None and seen.crowded:
            seen.at_work = seen.crowded = False
        elif seen is not None:
            seen.pause = min(max(2 * seen.pause, self._retry), _LONGEST_PAUSE)
            seen.due = asyncio.get_running_loop().time() + seen.pause
            seen.at_work = False

    def _tell(self, error: BadInput, name: str) -> None:
        self._observe(
            {
                "event": "answer-not-written",
                "source": self.name,
                "file": name,
                "code": error.code,
                "message": error.message,
            }
        )


def _opened(path: Path) -> int:
    """The descriptor of the folder: what is named later lies in this one, wherever it is put."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError):
        raise BadInput(
            "bad-folder", _FIELD, f"{path} is no folder that can be read.", "Make it first."
        ) from None


def _requests(folder: int) -> dict[str, tuple[int, int, int]]:
    """Identity, size and time of whatever is called like a request, links not followed."""
    found: dict[str, tuple[int, int, int]] = {}
    if os.fstat(folder).st_nlink == 0:
        raise _removed()
    with os.scandir(folder) as entries:
        for count, entry in enumerate(entries):
            if count >= _MOST_ENTRIES:
                raise _too_full()
            if len(found) >= _MOST_REQUESTS:
                break
            if not _NAME.fullmatch(entry.name) or entry.name.endswith(_ANSWER):
                continue
            with contextlib.suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if not stat.S_ISDIR(status.st_mode):
                    found[entry.name] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def _removed() -> BadInput:
    return BadInput(
        "bad-folder",
        _FIELD,
        "It was removed while requests were taken from it.",
        "Make it anew; the watch looks for it by itself.",
    )


def _too_full() -> BadInput:
    return BadInput(
        "folder-too-full",
        _FIELD,
        f"It has more than {_MOST_ENTRIES} files.",
        "Remove answers that were read, and whatever else is not wanted.",
    )


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _read(folder: int, name: str) -> bytes:
    """The bytes of a regular file that is no link; raises as read_file does."""
    return read_file(
        name,
        "the request",
        LARGEST_REQUEST,
        opener=lambda place, flags: os.open(place, flags | os.O_NOFOLLOW, dir_fd=folder),
    )
