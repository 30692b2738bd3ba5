# SPDX-License-Identifier: Apache-2.0
"""A copy of ./try and ./test among programs that only write down how they were called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("try", "test", ".ci/lib.sh", ".ci/debian-packages.txt", "pyproject.toml")

# Plays Python, its venv module, pip, and what pip installs; every call is a line in $CALLS.
PYTHON = r"""#!/bin/bash
here="$(dirname -- "$0")"
case "$*" in
    *"import sys, ensurepip"*) echo "$FAKE_BASE" ;;
    "-I -m venv "*)
        echo "venv" >>"$CALLS"
        mkdir -p "$4/bin" && cp -- "$0" "$4/bin/python" ;;
    *"import watchword.core"*) [ -x "$here/watchword" ] ;;
    *"import PySide6"*) [ -z "$FAKE_QT" ] ;;
    *"-m pip "*)
        echo "$*" >>"$CALLS"
        [ -z "$FAKE_PIP_SAYS" ] || { echo "$FAKE_PIP_SAYS"; exit 1; }
        cp -- "$FAKES/launched" "$here/watchword"
        cp -- "$FAKES/launched" "$here/watchword-gui"
        cp -- "$FAKES/launched" "$here/pytest" ;;
esac
"""
LAUNCHED = r"""#!/bin/bash
if [ "$*" = --check ]; then
    [ -z "$FAKE_QT" ] || echo "Qt can't show a window here." >&2
    [ -z "$FAKE_QT" ]
    exit
fi
{
    printf '%s' "$(basename -- "$0")"
    printf ' [%s]' "$@"
    echo
} >>"$CALLS"
{ : 3<&0; } 2>/dev/null || echo "stdin is closed" >>"$CALLS"
if [ -n "$WATCHWORD_HOME" ]; then
    [ -d "$WATCHWORD_HOME" ] && echo "$WATCHWORD_HOME" >"$FAKES/home"
fi
echo "the launch's own words"
exit "${FAKE_STATUS:-0}"
"""
RECORDED = r"""#!/bin/bash
echo "$(basename -- "$0") $*" >>"$CALLS"
"""


class TreeOfFakes:
    """A tree at a path with a space in it; ``run`` calls one of its scripts."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a tree"
        self.fakes = folder / "fakes"
        self.calls_file = folder / "calls"
        self.fakes.mkdir()
        for name in SCRIPTS:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)
        shutil.copytree(ROOT / "requirements", self.root / "requirements")
        self.fake("python3.14", PYTHON)
        self.fake("launched", LAUNCHED)
        # A machine with apt-get and none of the packages, and a caller who is not root.
        self.fake("apt-get")
        self.fake("dpkg-query", "#!/bin/bash\nexit 1\n")
        self.fake("sudo", '#!/bin/bash\necho sudo >>"$CALLS"\nexec "$@"\n')
        self.becomes(1000)

    def fake(self, name: str, script: str = RECORDED) -> Path:
        """Put a program in front of the real one of that name."""
        path = self.fakes / name
        path.write_text(script)
        path.chmod(0o755)
        return path

    def becomes(self, user: int) -> None:
        """Let the caller have this user id."""
        self.fake("id", f"#!/bin/bash\necho {user}\n")

    def has_no_python(self) -> None:
        """Let the chooser look only for a Python that nobody has."""
        library = self.root / ".ci" / "lib.sh"
        text = library.read_text()
        library.write_text(text.replace("PYTHONS=(", "PYTHONS=(no-such-python) #"))

    def calls(self) -> list[str]:
        """How the fakes were called since the last look."""
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        self.calls_file.unlink(missing_ok=True)
        return lines

    def run(
        self, script: str, *arguments: str, close_stdin: bool = False, **environment: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Call a script; an environment value of None takes the variable away."""
        command = [str(self.root / script), *arguments]
        variables: dict[str, str | None] = {
            **os.environ,
            "PATH": f"{self.fakes}:{os.environ['PATH']}",
            "CALLS": str(self.calls_file),
            "FAKES": str(self.fakes),
            "FAKE_BASE": str(self.fakes / "python3.14"),
            "DISPLAY": None,
            "WAYLAND_DISPLAY": None,
            "WATCHWORD_HOME": None,
            **environment,
        }
        return subprocess.run(
            ["/bin/bash", "-c", 'exec "$0" "$@" <&-', *command] if close_stdin else command,
            cwd=self.root,
            env={key: value for key, value in variables.items() if value is not None},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def tree(tmp_path: Path) -> TreeOfFakes:
    """A tree whose Python, pip and programs are fakes."""
    return TreeOfFakes(tmp_path)
