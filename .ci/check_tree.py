# SPDX-License-Identifier: Apache-2.0
"""Checks every commit for a sign-off and every tracked file for what a file must and must not say.

Usage: check_tree.py ROOT
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SPDX = "SPDX-License-Identifier: Apache-2.0"

# The brackets keep this line from being found by its own search.
PACKAGE_INDEX = re.compile(
    r"py[p]i\.org|python[h]osted\.org|registry\.[n]pmjs|--(extra-)?[i]ndex-url\b"
    r"|https?://[^\s/]+(/[^\s/]+)*/[s]imple\b"
)


def git(root: Path, *arguments: str) -> str:
    """The output of git in ``root``, which may belong to another user."""
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def unsigned_commits(root: Path) -> Iterator[str]:
    """Commits, merges aside, that their own author has not signed off."""
    if not git(root, "rev-list", "--all", "--max-count=1"):
        return
    fields = "%h%x1f%ae%x1f%s%x1f%(trailers:key=Signed-off-by,valueonly,separator=%x20)"
    for line in git(root, "log", "--no-merges", f"--format={fields}").split("\n"):
        if not line:
            continue
        commit, author, subject, signers = line.split("\x1f")
        if f"<{author}>".lower() not in signers.lower():
            yield f"commit {commit} ({subject}): no Signed-off-by line of its author <{author}>"


def tracked_texts(root: Path) -> Iterator[tuple[str, str]]:
    """Name and content of every tracked file that is UTF-8 text."""
    for name in git(root, "ls-files", "-z").split("\0"):
        path = root / name
        if not name or path.is_symlink() or not path.is_file():
            continue
        try:
            yield name, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def bad_files(root: Path) -> Iterator[str]:
    """Source files without a licence line; files that name a package index."""
    for name, text in tracked_texts(root):
        is_source = name.endswith((".py", ".sh")) or text.startswith("#!")
        if is_source and SPDX not in "\n".join(text.splitlines()[:3]):
            yield f"{name}: no “{SPDX}” in its first lines"
        for number, line in enumerate(text.splitlines(), 1):
            if PACKAGE_INDEX.search(line):
                yield f"{name}:{number}: names a package index; leave that to pip's own settings"


def main() -> int:
    """Print what is wrong and return 1, or one line and 0."""
    root = Path(sys.argv[1]).resolve()
    problems = [*unsigned_commits(root), *bad_files(root)]
    print("\n".join(problems) or "Every commit is signed off; every tracked file is in order.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
