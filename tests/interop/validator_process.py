# SPDX-License-Identifier: Apache-2.0
"""Answers for virt-qemu-sev-validate: loads the program once, and forks for each question.

Run by Debian's own Python, which has the modules that the program imports; the tests' Python
does not. One JSON line in (the arguments), one out (exit status, and all that was printed).
The program is the installed file, unmodified: each fork sets ``sys.argv`` and calls its main.

Usage: validator_process.py PROGRAM
"""

from __future__ import annotations

import gc
import importlib.machinery
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Callable

LIMIT_SECONDS = 60


def load(path: str) -> Callable[[], None]:
    """The program's main function. Raises ModuleNotFoundError for what it imports and isn't there.

    Run as a process, it would end with exit status 1 then, as for a measurement that differs.
    """
    sys.dont_write_bytecode = True  # nothing of ours belongs into /usr/bin
    loader = importlib.machinery.SourceFileLoader("validator", path)
    spec = importlib.util.spec_from_loader("validator", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    # What it would import when it first encrypts: once here is cheaper than in each fork.
    importlib.import_module("cryptography.hazmat.backends.openssl.backend")
    return module.main


def status_of(main: Callable[[], None]) -> int:
    """What the process would have ended with."""
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def ask(main: Callable[[], None], arguments: list[str]) -> dict[str, object]:
    """One run in a process of its own, with a limit."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(LIMIT_SECONDS)
        for descriptor in (1, 2):
            os.dup2(writing, descriptor)
        sys.argv[:] = ["virt-qemu-sev-validate", *arguments]
        status = status_of(main)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        printed = stream.read()
    _, ended = os.waitpid(child, 0)
    return {
        "status": os.waitstatus_to_exitcode(ended),
        "printed": printed.decode(errors="replace"),
    }


def serve() -> None:
    """Say whether it can be loaded, then answer until the end of the input."""
    try:
        main = load(sys.argv[1])
        gc.freeze()  # a fork then shares more of its memory
    except ModuleNotFoundError as missing:
        print(json.dumps({"missing": missing.name}), flush=True)
        return
    print(json.dumps({"missing": None}), flush=True)
    for line in sys.stdin:
        print(json.dumps(ask(main, json.loads(line))), flush=True)


if __name__ == "__main__":
    serve()
