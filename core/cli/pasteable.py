# SPDX-License-Identifier: Apache-2.0
"""Commands to go on with, as they work when they are pasted into a shell."""

from __future__ import annotations

import argparse
import shlex
from typing import Final

_REPEATED: Final = (
    ("vault", "--vault"),
    ("passphrase_file", "--passphrase-file"),
    ("pkcs11_module", "--pkcs11-module"),
    ("pin_file", "--pin-file"),
)
"""What opens the vault; a descriptor is the calling shell's, and can't be named again."""


def pasteable(arguments: argparse.Namespace, *words: str) -> str:
    """``watchword`` with these words, and with the options that opened the vault this time."""
    line = ["watchword", *words]
    for name, option in _REPEATED:
        value = getattr(arguments, name, None)
        if value is not None:
            line += [option, str(value)]
    return shlex.join(line)
