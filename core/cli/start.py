# SPDX-License-Identifier: Apache-2.0
"""Where the program ``watchword`` begins: sees to it that a plain command starts quickly."""

from __future__ import annotations

import gc
import os
import sys


def main() -> int:
    """Run the command line; the return value is the exit status.

    Imports make many objects and no garbage, and looking for garbage among them costs
    a fifth of a plain command's time. Collection is on again once the command is known.
    """
    if len(sys.argv) == 1:
        from .window import become_window  # noqa: PLC0415 - for this one case

        become_window(os.environ)
    gc.disable()
    import argparse  # noqa: PLC0415 - with collection off

    from .main import main as run  # noqa: PLC0415

    # It would look for a translation of each of its words, for 2 ms; all words here are English.
    argparse._ = str  # type: ignore[attr-defined]

    return run(collect_later=True)
