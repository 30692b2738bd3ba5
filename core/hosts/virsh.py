# SPDX-License-Identifier: Apache-2.0
"""A running virsh that takes commands over a pipe: one connection to a daemon while it lasts.

Chosen over libvirt's Python binding, which has to be compiled for each Python: virsh is wherever
libvirt is, and what a hostile daemon answers is read in another process than ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
from typing import Final, Self

from ..errors import HostError
from .child_process import ChildProcess
from .host_words import visible
from .libvirt_errors import (
    VirshRefused,
    not_installed,
    not_started,
    said_too_much,
    virsh_ended,
    virsh_timed_out,
)
from .limits import HostLimits

_SYSTEM_FOLDERS: Final = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
_ENVIRONMENT: Final = (
    *("HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"),
    *("TMPDIR", "DBUS_SYSTEM_BUS_ADDRESS"),
)
_PROMPT: Final = "virsh # "
_SHOWN_OF_WIDE: Final = 20
_PIECE: Final = 1 << 16
_PLAIN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:@,=+-")


class Virsh:
    """One virsh. Each command ends within its limit; afterwards, or after an error, close it."""

    def __init__(self, process: ChildProcess, url: str, limits: HostLimits) -> None:
        self._process = process
        self._url = url
        self._limits = limits
        self._rest = b""

    @classmethod
    async def start(cls, uri: str, url: str, limits: HostLimits) -> Self:
        """Start it for libvirt's ``uri``; ``url`` is what errors call the host.

        Raises HostError ``virsh-missing``. Whether the daemon is there shows with the first
        command.
        """
        process = await start_virsh(uri, url, takes_input=True)
        return cls(process, url, limits)

    async def run(self, *words: str, seconds: float | None = None) -> str:
        """What one command prints.

        Raises VirshRefused with libvirt's own words, and HostError ``libvirt-timeout``,
        ``libvirt-connection-lost`` or ``host-message-too-large``.
        """
        limit = self._limits.command_seconds if seconds is None else seconds
        # Nobody but this virsh sees the marker, so that no answer can end with it by design. It
        # is printed with one blank, so that the line that asks for it is not taken for it.
        first, second = secrets.token_hex(16), secrets.token_hex(16)
        line = " ".join(map(_quoted, words))
        failure: HostError
        try:
            async with asyncio.timeout(limit):
                # Where it has ended before it was asked, its last words tell why.
                with contextlib.suppress(OSError, EOFError):
                    await self._write(f"{line}\necho {first}  {second}\n".encode())
                text = await self._read_until(f"{first} {second}".encode())
            return _answer(text.decode("utf-8", "replace"), line)
        except TimeoutError:
            failure = virsh_timed_out(self._url, words[0], limit)
        except (OSError, EOFError):
            last = self._rest.decode("utf-8", "replace")
            _answer(last, line)  # where it has ended with an error, that is why
            failure = virsh_ended(self._url, visible(last), words[0])
        raise failure

    async def _write(self, data: bytes) -> None:
        stream = self._process.stdin
        if stream is None or stream.is_closing():
            raise EOFError
        stream.write(data)
        await stream.drain()

    async def _read_until(self, marker: bytes) -> bytes:
        """Everything up to the marker."""
        stream = self._process.stdout
        while (end := self._rest.find(marker)) < 0:
            if len(self._rest) > self._limits.message_bytes:
                raise said_too_much(self._url, self._limits.message_bytes)
            piece = await stream.read(_PIECE)
            if not piece:
                raise EOFError
            self._rest += piece
        text, self._rest = self._rest[:end], self._rest[end + len(marker) :]
        return text

    async def close(self) -> None:
        """End it with all that it started, within a moment; may be called again."""
        await self._process.end()


async def start_virsh(uri: str, url: str, *words: str, takes_input: bool = False) -> ChildProcess:
    """virsh, connected to libvirt's ``uri``: for one command in ``words``, or for its input.

    Raises HostError ``virsh-missing`` and ``virsh-failed``; ``url`` is what they call the host.
    """
    program = shutil.which("virsh", path=_path())
    if program is None:
        raise not_installed(url)
    command = (program, "--quiet", "--connect", uri, *words)
    try:
        return await ChildProcess.start(command, _environment(), takes_input=takes_input)
    except OSError as fault:
        raise not_started(url, os.strerror(fault.errno or 0)) from None


def _answer(text: str, line: str) -> str:
    """What the command printed; an error's words are raised.

    virsh prompts although nobody is there, and its line editor shows what it read, cut off
    where that is wide.
    """
    text = text.removeprefix("\n").removeprefix(_PROMPT)
    first, newline, rest = text.partition("\n")
    if newline and first.rstrip().endswith(line[-_SHOWN_OF_WIDE:]):
        text = rest
    text = text[: max(text.rfind(_PROMPT), 0)] if _PROMPT in text else text
    lines = text.splitlines()
    errors = [one.removeprefix("error: ") for one in lines if one.startswith("error: ")]
    if errors:
        raise VirshRefused(line.split(" ", 1)[0], errors)
    return "\n".join(lines)


def _quoted(word: str) -> str:
    """A word as virsh reads it: in single quotes everything but these stands for itself."""
    if not word.isprintable() or "'" in word:
        raise ValueError  # ours alone: ids, paths of our own, numbers, JSON that we made
    return word if word and set(word) <= _PLAIN else f"'{word}'"


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {**kept, "PATH": _path(), "LC_ALL": "C"}


def _path() -> str:
    own = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    return os.pathsep.join(dict.fromkeys((*own, *_SYSTEM_FOLDERS)))
