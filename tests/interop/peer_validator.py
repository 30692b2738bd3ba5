# SPDX-License-Identifier: Apache-2.0
"""libvirt's virt-qemu-sev-validate as tests call it: arguments in, verdict out."""

from __future__ import annotations

import json
import select
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .verdicts import Verdict

DEBIAN_PYTHON = "/usr/bin/python3"
# What the program imports, and where Debian has it.
PACKAGES = {
    "cryptography": "python3-cryptography",
    "libvirt": "libvirt-clients-qemu",  # which depends on python3-libvirt
    "lxml": "python3-lxml",
}
_LIMIT_SECONDS = 90
_MISMATCH = "Measurement does not match"
# Its exit statuses: 3 (insecure) needs a connection to libvirt, which no test makes.
_VERDICTS = {
    0: Verdict.ACCEPTED,
    1: Verdict.REFUSED,
    **dict.fromkeys((2, 4, 5, 6), Verdict.UNUSABLE),
}


class ModuleMissing(Exception):
    """The program can't be loaded; ``package`` is the Debian package with what it lacks."""

    def __init__(self, module: str) -> None:
        super().__init__(module)
        self.module = module
        self.package = PACKAGES.get(module.partition(".")[0], "libvirt-clients-qemu")


@dataclass(frozen=True, slots=True)
class Answer:
    """How a run ended, and all that it printed."""

    status: int
    printed: str

    @property
    def verdict(self) -> Verdict:
        """The verdict; a status 1 that is not about the measurement is none."""
        if self.status == 1:
            assert _MISMATCH in self.printed, self.printed
        return _VERDICTS[self.status]


class Validator:
    """The program, loaded once; close it after use. Raises ModuleMissing where it can't be."""

    def __init__(self, program: Path) -> None:
        helper = Path(__file__).with_name("validator_process.py")
        self.program = program
        self._process = subprocess.Popen(
            [DEBIAN_PYTHON, "-I", "-B", helper, program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        missing = self._line()["missing"]
        if missing is not None:
            self.close()
            raise ModuleMissing(str(missing))

    def __call__(self, *arguments: str | Path) -> Answer:
        """Run it with these arguments."""
        commands = self._stream(self._process.stdin)
        commands.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        commands.flush()
        return Answer(**self._line())

    def as_process(self, *arguments: str | Path) -> Answer:
        """The same as a process of its own, as people run it."""
        command = [DEBIAN_PYTHON, self.program, *arguments]
        ended = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_LIMIT_SECONDS,
        )
        return Answer(ended.returncode, ended.stdout)

    def close(self) -> None:
        """End it."""
        self._stream(self._process.stdin).close()
        self._process.wait(timeout=_LIMIT_SECONDS)
        self._stream(self._process.stdout).close()

    def _line(self) -> dict:
        answers = self._stream(self._process.stdout)
        ready, _, _ = select.select([answers], [], [], _LIMIT_SECONDS)
        assert ready, "virt-qemu-sev-validate does not answer"
        line = answers.readline()
        assert line, f"{DEBIAN_PYTHON} ended: virt-qemu-sev-validate can't be loaded"
        return json.loads(line)

    @staticmethod
    def _stream(stream: IO[str] | None) -> IO[str]:
        assert stream is not None
        return stream
