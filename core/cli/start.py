# SPDX-License-Identifier: Apache-2.0
"""Where the program ``watchword`` begins: sees to it that a plain command starts quickly."""

from __future__ import annotations

import gc


def main() -> int:
    """Run the command line; the return value is the exit status.

    Imports make many objects and no garbage, and looking for garbage among them costs
    a fifth of a plain command's time. Collection is on again once the command is known.
    """
    gc.disable()
    from .main import main as run  # noqa: PLC0415 - with collection off

    return run()
