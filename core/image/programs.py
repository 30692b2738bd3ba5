# SPDX-License-Identifier: Apache-2.0
"""Runs the system's tools for disk images: found without a shell, bounded, no secret in their argv.

A secret goes to a tool through a pipe that it inherits (:class:`KeyPipe` among its
arguments becomes ``/dev/fd/N``), never by a file and never by a word that ``ps`` shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..errors import BadInput
from ..hosts.host_words import visible
from ..hosts.process_start import kill_whole, start_whole
from ..secret import Secret

PACKAGES: Final = {
    "cryptsetup": "cryptsetup-bin",
    "debugfs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "grub-mkstandalone": "grub-common",
    "grub-mkimage": "grub-common",
    "mcopy": "mtools",
    "mdir": "mtools",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "mmd": "mtools",
    "qemu-img": "qemu-utils",
    "qemu-nbd": "qemu-utils",
    "resize2fs": "e2fsprogs",
    "sfdisk": "fdisk",
    "xz": "xz-utils",
    "zstd": "zstd",
}
"""The Debian packages that bring the tools."""

_SYSTEM_FOLDERS: Final = ("/usr/sbin", "/sbin")
_KEPT_OUTPUT: Final = 1 << 20
_KEPT_ERRORS: Final = 4096
_SHOWN_ERRORS: Final = 400
_PIECE: Final = 1 << 16
_PULSE: Final = 0.25
_SMALLEST_PIPE: Final = 4096
_NO_ROOM: Final = ("No space left on device", "Disk quota exceeded")


@dataclass(frozen=True, slots=True)
class KeyPipe:
    """An argument that names a pipe with a secret of at most 4096 bytes in it.

    It becomes ``{before}/dev/fd/N``; the pipe gives the secret's bytes once, then its end.
    The caller still owns, and wipes, the secret.
    """

    secret: Secret
    before: str = ""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """An argument that names an open file of ours, such as one in memory: ``/dev/fd/N``."""

    descriptor: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a tool may take: ``seconds`` in all, ``idle`` without a sign of life."""

    seconds: float = 60.0
    idle: float | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """How a tool ended: its status, at most 1 MiB of its output, and its last 4 KiB of errors."""

    status: int
    output: bytes = field(repr=False)
    errors: str = field(repr=False)


class ProgramFailed(BadInput):
    """A tool ended otherwise than it may (exit 6); ``status`` and ``errors`` are its own."""

    def __init__(self, name: str, status: int, errors: str) -> None:
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        words = visible(errors.strip()[-_SHOWN_ERRORS:].replace("\n", "; "), _SHOWN_ERRORS)
        said = f" Its last words: {words}" if words else " It said nothing."
        super().__init__(
            "program-failed",
            f"what {name} was given",
            f"{name} ended with {how}.{said}",
            f"Mend what it complains about; {name} is of the Debian package"
            f" {PACKAGES.get(name, 'unknown to us')}.",
            {"program": name, "status": status},
        )
        self.status = status
        self.errors = errors


def find_program(name: str) -> Path:
    """The absolute path of a tool, on PATH or in /usr/sbin or /sbin.

    Raises BadInput ``program-missing`` with the Debian package that brings it.
    """
    found = shutil.which(name, path=os.pathsep.join((_path(), *_SYSTEM_FOLDERS)))
    if found is None or not Path(found).is_absolute():
        package = PACKAGES.get(name)
        remedy = f"Install it: apt install {package}." if package else "Install it."
        raise BadInput(
            "program-missing",
            f"the program {name}",
            f"{name} is not installed, and images are made with it.",
            remedy,
            {"program": name, "package": package},
        )
    return Path(found)


def require_programs(names: Collection[str]) -> None:
    """Raise BadInput ``program-missing`` for the first tool that is not there."""
    for name in names:
        find_program(name)


def no_room(path: Path | str) -> BadInput:
    """What to raise where the file system is full."""
    return BadInput(
        "no-room",
        "the output file",
        f"There is no room left for it where {visible(str(path))} is to lie.",
        "Make room there, or name a folder on another file system.",
        {"path": str(path)},
    )


async def run_program(
    name: str,
    arguments: Sequence[str | Path | KeyPipe | OpenFile],
    *,
    limits: Limits = Limits(),
    feed: bytes = b"",
    allowed: Collection[int] = (0,),
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    inherited: Sequence[int] = (),
    on_output: Callable[[bytes], None] | None = None,
    pulse: Callable[[], object] | None = None,
) -> Done:
    """Run a tool to its end, without a shell and with an environment of its own.

    ``feed``       what it reads from its standard input
    ``allowed``    the exit statuses that are no failure
    ``environment``  variables besides PATH and LC_ALL=C
    ``inherited``  open files that it may use as ``/dev/fd/N`` besides those in its arguments
    ``on_output``  gets what it writes on stdout, which is not kept then
    ``pulse``      called four times a second; a value that changes is a sign of life, as output is

    When this is cancelled the tool is killed with all that it started. Raises
    BadInput ``program-missing``, ``program-too-slow``, ``program-says-too-much``, ``no-room``
    and ProgramFailed.
    """
    path = find_program(name)
    with contextlib.ExitStack() as pipes:
        words, descriptors = _words(arguments, pipes)
        process = await _begin(
            path, words, [*descriptors, *inherited], environment=environment or {}, folder=folder
        )
        pipes.close()  # only the tool may hold the readable ends from here on
        run = _Run(name, process, limits, on_output, pulse)
        try:
            await run.to_its_end(feed)
        finally:
            await kill_whole(process)
    done = Done(process.returncode or 0, bytes(run.output), run.errors.decode("utf-8", "replace"))
    if done.status in allowed:
        return done
    if any(words in done.errors for words in _NO_ROOM):
        raise no_room(folder or "the output")
    raise ProgramFailed(name, done.status, done.errors)


def _path() -> str:
    return os.environ.get("PATH") or os.defpath


def _words(
    arguments: Sequence[str | Path | KeyPipe | OpenFile], pipes: contextlib.ExitStack
) -> tuple[list[str], list[int]]:
    words, descriptors = [], []
    for argument in arguments:
        if isinstance(argument, OpenFile):
            descriptors.append(argument.descriptor)
            words.append(f"/dev/fd/{argument.descriptor}")
            continue
        if not isinstance(argument, KeyPipe):
            words.append(str(argument))
            continue
        reader = pipes.enter_context(filled_pipe(argument.secret))
        descriptors.append(reader)
        words.append(f"{argument.before}/dev/fd/{reader}")
    return words, descriptors


@contextlib.contextmanager
def filled_pipe(secret: Secret) -> Iterator[int]:
    """A pipe that holds the secret and nothing more; its readable end."""
    if len(secret) > _SMALLEST_PIPE:
        raise BadInput(
            "secret-too-large",
            "the disk's key",
            f"It has {len(secret)} bytes; at most {_SMALLEST_PIPE} can be handed to a tool.",
            "A key of 44 characters is as strong as a disk needs.",
            {"limit": _SMALLEST_PIPE},
        )
    reader, writer = os.pipe()
    try:
        try:
            with secret.reveal() as view:
                os.write(writer, view)
        finally:
            os.close(writer)
        yield reader
    finally:
        os.close(reader)


async def _begin(
    path: Path,
    words: Sequence[str],
    descriptors: Sequence[int],
    *,
    environment: Mapping[str, str],
    folder: Path | None,
) -> asyncio.subprocess.Process:
    own = {"PATH": os.pathsep.join((_path(), *_SYSTEM_FOLDERS)), "LC_ALL": "C", **environment}
    try:
        return await start_whole(
            asyncio.create_subprocess_exec(
                path,
                *words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=tuple(descriptors),
                cwd=folder,
                env=own,
                start_new_session=True,
            )
        )
    except (OSError, ValueError) as fault:
        number = fault.errno if isinstance(fault, OSError) else None
        why = os.strerror(number) if number else "a word in its call can't be passed on"
        raise BadInput(
            "program-unusable",
            f"the program {path.name}",
            f"{visible(str(path))} can't be run: {why}.",
            "Install it anew, and check the permissions of its folder.",
        ) from None


class _Run:
    """One tool under way: what it says, and whether it still lives."""

    def __init__(
        self,
        name: str,
        process: asyncio.subprocess.Process,
        limits: Limits,
        on_output: Callable[[bytes], None] | None,
        pulse: Callable[[], object] | None,
    ) -> None:
        self.output = bytearray()
        self.errors = bytearray()
        self._name, self._process, self._limits = name, process, limits
        self._on_output, self._pulse = on_output, pulse
        self._alive = time.monotonic()

    async def to_its_end(self, feed: bytes) -> None:
        """Feed it, read what it writes, and wait for its end; raises as run_program does."""
        try:
            async with asyncio.timeout(self._limits.seconds), asyncio.TaskGroup() as tasks:
                tasks.create_task(self._feed(feed))
                reading = [
                    tasks.create_task(self._read(self._process.stdout, self._take_output)),
                    tasks.create_task(self._read(self._process.stderr, self._take_errors)),
                ]
                watching = tasks.create_task(self._watch())
                await asyncio.gather(*reading)
                await self._process.wait()
                watching.cancel()
        except TimeoutError:
            raise self._too_slow(f"more than {self._limits.seconds:g} seconds") from None
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _feed(self, data: bytes) -> None:
        if (stream := self._process.stdin) is None:
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for start in range(0, len(data), _PIECE):
                stream.write(data[start : start + _PIECE])
                await stream.drain()
        stream.close()

    async def _read(
        self, stream: asyncio.StreamReader | None, take: Callable[[bytes], None]
    ) -> None:
        while stream is not None and (piece := await stream.read(_PIECE)):
            self._alive = time.monotonic()
            take(piece)

    def _take_output(self, piece: bytes) -> None:
        if self._on_output is not None:
            self._on_output(piece)
            return
        self.output += piece
        if len(self.output) > _KEPT_OUTPUT:
            raise BadInput(
                "program-says-too-much",
                f"what {self._name} says",
                f"It wrote more than {_KEPT_OUTPUT} bytes, and was stopped.",
                "The file that it read is most likely damaged, or made to mislead.",
            )

    def _take_errors(self, piece: bytes) -> None:
        self.errors = (self.errors + piece)[-_KEPT_ERRORS:]

    async def _watch(self) -> None:
        last: object = None
        while True:
            await asyncio.sleep(_PULSE)
            if self._pulse is not None and (sign := self._pulse()) != last:
                last, self._alive = sign, time.monotonic()
            idle = self._limits.idle
            if idle is not None and time.monotonic() - self._alive > idle:
                raise self._too_slow(f"{idle:g} seconds without getting any further")

    def _too_slow(self, what: str) -> BadInput:
        return BadInput(
            "program-too-slow",
            f"the program {self._name}",
            f"{self._name} took {what}, and was killed.",
            "Try again when the machine and its disks are less busy.",
            {"program": self._name},
        )
