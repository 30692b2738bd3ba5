# SPDX-License-Identifier: Apache-2.0
"""Makes the credential that opens a vault, encrypted for this machine by systemd-creds."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from ..errors import BadInput, VaultError
from ..files import write_file
from ..secret import Secret
from .credential_way import check_credential_name
from .key_box import new_wrap_key

TOOL: Final = "systemd-creds"
TOOL_LIMIT: Final = 60.0


def make_credential(name: str, out: Path, with_key: str = "auto") -> Secret:
    """Make a random credential of 32 bytes; ``out`` gets it as systemd-creds encrypts it.

    ``with_key``: ``host``, ``tpm2``, ``host+tpm2`` or ``auto``, as systemd-creds takes it. The
    caller wipes what is returned. Raises VaultError ``systemd-creds-missing``,
    ``systemd-creds-failed``; BadInput ``file-exists``, ``file-not-written``.
    """
    check_credential_name(name)
    if os.path.lexists(out):
        raise BadInput(
            "file-exists",
            "the credential",
            f"{out} exists already; another vault may open with it.",
            "Name a new file.",
        )
    tool = shutil.which(TOOL)
    if tool is None:
        raise VaultError(
            "systemd-creds-missing",
            "systemd-creds is not installed",
            "It encrypts the credential for this machine.",
            "Install systemd 250 or later, or choose another way to open the vault.",
        )
    credential = new_wrap_key()
    try:
        command = [tool, f"--name={name}", f"--with-key={with_key}", "encrypt", "-", "-"]
        with credential.reveal() as view:
            # On stdin: no other process sees it, and it is on no disk in clear.
            encoded = base64.b64encode(view)
        write_file(out, _run(command, encoded), field="the credential")
    except BaseException:
        credential.wipe()
        raise
    return credential


def _run(command: list[str], given: bytes) -> bytes:
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, timeout=TOOL_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        raise _tool_failed(f"it was not done within {TOOL_LIMIT:g} seconds") from None
    except OSError as fault:
        raise _tool_failed(f"it does not start: {os.strerror(fault.errno or 0)}") from None
    if done.returncode or not done.stdout:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise _tool_failed(f"its last words are “{''.join(words)[:200]}”")
    return done.stdout


def _tool_failed(why: str) -> VaultError:
    return VaultError(
        "systemd-creds-failed",
        "The credential can't be made",
        f"systemd-creds failed: {why}.",
        "Run it by hand to see what it lacks; --with-key=host needs no TPM.",
    )
