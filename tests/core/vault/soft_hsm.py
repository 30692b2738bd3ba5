# SPDX-License-Identifier: Apache-2.0
"""SoftHSM with two tokens: it reads its configuration once per process, so all tests share it."""

from __future__ import annotations

import subprocess

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
TOKEN, OTHER = "owner-token", "other-token"
PIN = b"2357-1113"


_made = []


def configured(program, tmp_path_factory, patch):
    """The module, once SoftHSM finds its tokens; ``patch`` is undone by whoever calls."""
    tool = program("softhsm2-util", "softhsm2")
    if not _made:
        _made.append(_configuration(tmp_path_factory.mktemp("softhsm")))
    patch.setenv("SOFTHSM2_CONF", str(_made[0]))
    if len(_made) == 1:
        for label in (TOKEN, OTHER):
            command = [tool, "--init-token", "--free", "--label", label, "--so-pin", "99999999"]
            subprocess.run([*command, "--pin", PIN.decode()], check=True, capture_output=True)
            _made.append(label)
    return MODULE


def _configuration(folder):
    (folder / "tokens").mkdir()
    path = folder / "softhsm2.conf"
    path.write_text(
        f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    return path
