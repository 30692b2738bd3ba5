# SPDX-License-Identifier: Apache-2.0
"""The arrows of the design, held over the source: who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Inside core a part may import what stands in a line above its own, and nothing beside it.
LAYERS = (
    ("errors", "frozen"),
    ("secret", "base64_text", "file_writing"),
    ("files", "bounded_json"),
    ("sev",),
    ("handover",),
    ("amd", "hosts", "vault", "guest", "records"),
    ("ledger", "evidence"),
    ("launch",),
    ("image", "rehearsal", "batch", "doctor"),
    ("watch", "workers"),
    ("cli",),
    ("__main__",),
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}

# The simulator is the other side: it shares no protocol code with those whom it tests.
SIMULATOR_MAY_IMPORT = ("errors", "secret")
MAY_IMPORT_SIMULATOR = ("rehearsal", "cli", "__main__")

# Across: the package on the left may import those on the right.
ACROSS = {"resources": (), "core": ("resources",), "gui": ("core", "resources")}
QT = ("PySide6", "shiboken6")


def imported_names(path: Path, root: Path) -> Iterator[tuple[int, int, list[str]]]:
    """Line, number of dots and full dotted name of everything that a file imports."""
    package = ["watchword", *path.parent.relative_to(root).parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, 0, alias.name.split(".")
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                yield node.lineno, node.level, [*base, alias.name]


def why_forbidden(path: Path, root: Path, dots: int, name: list[str]) -> str | None:
    """Why the file may not import this name, or None."""
    own, *inner = path.relative_to(root).with_suffix("").parts
    if name[0] in ("core", "gui", "resources", "tests"):
        return "loads a second copy; say watchword."
    if name[0] in QT and own != "gui":
        return "Qt lives only in gui"
    if name[0] != "watchword" or len(name) < 2:
        return None
    other = name[1]
    if other != own:
        return None if other in ACROSS[own] and inner[0] != "simulator" else f"{own} <- {other}"
    if not dots:
        return "imports inside a package are relative"
    return why_forbidden_in_core(inner[0], name[2]) if own == "core" else None


def why_forbidden_in_core(part: str, other: str) -> str | None:
    """Why one part of the core may not import another, or None."""
    if part == other:
        return None
    if part == "simulator":
        return None if other in SIMULATOR_MAY_IMPORT else "the simulator is the other side"
    if other == "simulator":
        return None if part in MAY_IMPORT_SIMULATOR else "only rehearsal and cli run the simulator"
    if other not in LEVEL:
        return f"{other} has no place in the layers"
    if part not in LEVEL or LEVEL[part] <= LEVEL[other]:
        return f"{part} stands before or beside {other}"
    return None


def violations(root: Path) -> list[str]:
    """Every import under core/, gui/ and resources/ that goes against the arrows."""
    found = []
    for path in sorted(p for own in ACROSS for p in (root / own).rglob("*.py")):
        for line, dots, name in imported_names(path, root):
            why = why_forbidden(path, root, dots, name)
            if why:
                found.append(f"{path.relative_to(root)}:{line} imports {'.'.join(name)}: {why}")
    return found


def parts_without_a_place(root: Path) -> list[str]:
    """Files and folders directly under core/ that the layers don't name."""
    known = {*LEVEL, "simulator", "__init__"}
    parts = {p.relative_to(root / "core").parts[0] for p in (root / "core").rglob("*.py")}
    return sorted(part for part in parts if part.removesuffix(".py") not in known)


def test_every_import_follows_the_arrows() -> None:
    assert violations(ROOT) == []


def test_every_part_of_the_core_has_a_place_in_the_layers() -> None:
    assert parts_without_a_place(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("core/sev/chain.py", "from ..launch import engine"),
        ("core/sev/chain.py", "from ..launch.engine import Launch"),
        ("core/hosts/qmp.py", "from ..guest import GuestProfile"),
        ("core/launch/engine.py", "from ..simulator import platform"),
        ("core/errors.py", "from .secret import Secret"),
        ("core/errors.py", "from . import secret"),
        ("core/ledger.py", "from .evidence import sign"),
        ("core/launch/engine.py", "from ..cli.main import main"),
        ("core/launch/engine.py", "from .. import novelty"),
        ("core/novelty.py", "from .errors import UsageError"),
        ("core/__init__.py", "from .errors import UsageError"),
        ("core/simulator/platform.py", "from ..sev.session import derive"),
        ("core/simulator/platform.py", "from ..hosts import qmp"),
        ("core/simulator/platform.py", "from watchword.resources import read_bytes"),
        ("core/launch/engine.py", "from ...gui import app"),
        ("core/launch/engine.py", "import watchword.gui.app"),
        ("core/launch/engine.py", "from watchword import gui"),
        ("core/launch/engine.py", "from watchword.core.sev import chain"),
        ("core/launch/engine.py", "from core.sev import chain"),
        ("core/launch/engine.py", "def late():\n    import PySide6.QtCore"),
        ("resources/__init__.py", "from watchword.core import errors"),
        ("gui/app.py", "import core"),
    ],
)
def test_an_import_against_the_arrows_is_caught(tmp_path: Path, file: str, line: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(line)
    assert len(violations(tmp_path)) == 1


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("core/sev/chain.py", "from ..errors import VerificationRefused"),
        ("core/sev/chain.py", "from .certificates import SevCertificate"),
        ("core/amd/roots.py", "from watchword.resources import read_bytes"),
        ("core/amd/roots.py", "from ...resources import read_bytes"),
        ("core/launch/sev_steps.py", "from ..sev import chain"),
        ("core/rehearsal/run.py", "from ..simulator import platform"),
        ("core/cli/main.py", "from ..simulator import platform"),
        ("core/simulator/platform.py", "from ..secret import Secret"),
        ("core/simulator/platform.py", "import cryptography"),
        ("gui/app.py", "from PySide6 import QtWidgets"),
        ("gui/app.py", "from watchword.core.launch import engine"),
    ],
)
def test_an_import_along_the_arrows_is_let_through(tmp_path: Path, file: str, line: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(line)
    assert violations(tmp_path) == []


def test_a_part_that_nobody_placed_is_caught(tmp_path: Path) -> None:
    (tmp_path / "core" / "novelty").mkdir(parents=True)
    (tmp_path / "core" / "novelty" / "__init__.py").touch()
    assert parts_without_a_place(tmp_path) == ["novelty"]
