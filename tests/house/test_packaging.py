# SPDX-License-Identifier: Apache-2.0
"""The traps of the packaging: lists kept by hand, locks that drift, dead entry points."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("core", "gui", "resources")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PYPROJECT["tool"]["setuptools"]["packages"]


def package_of(folder: Path) -> str:
    return ".".join(["watchword", *folder.relative_to(ROOT).parts])


def files(pattern: str = "*") -> list[Path]:
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob(pattern)]
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


def locked(name: str) -> dict[str, str]:
    """Each requirement of a lock file, by name, with all its lines."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    blocks = re.findall(r"^(?!#)\S.*(?:\n[ ]+.*)*", text, re.MULTILINE)
    return {re.split(r"==", block)[0]: block for block in blocks}


def test_the_list_of_packages_is_the_list_of_folders_with_python_files() -> None:
    assert sorted(PACKAGES) == sorted({package_of(path.parent) for path in files("*.py")})


def test_every_package_has_an_init_file() -> None:
    assert [p for p in files("*.py") if not (p.parent / "__init__.py").is_file()] == []


def test_every_file_that_is_not_python_is_package_data() -> None:
    declared = PYPROJECT["tool"]["setuptools"]["package-data"]

    def is_declared(path: Path) -> bool:
        for folder in path.parents:
            relative = path.relative_to(folder).as_posix()
            patterns = declared.get(package_of(folder), []) if folder != ROOT else []
            if any(fnmatch(relative, pattern) for pattern in patterns):
                return True
            if folder == ROOT:
                return False
        return False

    assert [p for p in files() if p.suffix != ".py" and not is_declared(p)] == []


@pytest.mark.parametrize("kind", ["scripts", "gui-scripts"])
def test_entry_points_lead_to_a_function_that_is_there(kind: str) -> None:
    for target in PYPROJECT["project"][kind].values():
        module, function = target.split(":")
        path = ROOT / Path(*module.split(".")[1:]).with_suffix(".py")
        assert f"\ndef {function}(" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["core.txt", "gui.txt", "ci.txt"])
def test_every_locked_requirement_has_an_exact_version_and_a_hash(name: str) -> None:
    requirements = locked(name)
    assert requirements
    for block in requirements.values():
        assert re.match(r"[a-z0-9-]+==\S+ ", block), block
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block


@pytest.mark.parametrize("name", ["core.txt", "gui.txt", "ci.txt"])
def test_locks_name_no_address(name: str) -> None:
    assert "://" not in (ROOT / "requirements" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("small", "large"), [("core.txt", "gui.txt"), ("gui.txt", "ci.txt")])
def test_a_smaller_lock_is_part_of_the_larger_one(small: str, large: str) -> None:
    whole = locked(large)
    for name, block in locked(small).items():
        assert whole[name] == block


@pytest.mark.parametrize(
    ("name", "extras"),
    [("core.txt", []), ("gui.txt", ["gui"]), ("ci.txt", ["gui", "test", "lint"])],
)
def test_locks_satisfy_pyproject(name: str, extras: list[str]) -> None:
    project = PYPROJECT["project"]
    wanted = [
        *project["dependencies"],
        *PYPROJECT["build-system"]["requires"],
        *(line for extra in extras for line in project["optional-dependencies"][extra]),
    ]
    for requirement in map(Requirement, wanted):
        key = re.sub(r"[-_.]+", "-", requirement.name).lower()
        version = locked(name)[key].split("==")[1].split()[0]
        assert requirement.specifier.contains(version), f"run .ci/lock: {requirement}"


def test_amd_roots_carry_the_numbers_of_the_vectors(vectors: Path) -> None:
    resource = json.loads((ROOT / "resources" / "amd_roots.json").read_text(encoding="utf-8"))
    assert resource == json.loads((vectors / "amd_roots.json").read_text(encoding="utf-8"))


def test_python_version_in_pyproject_is_the_one_the_chooser_asks_for() -> None:
    assert PYPROJECT["project"]["requires-python"] == ">=3.11"
    assert "sys.version_info >= (3, 11)" in (ROOT / ".ci" / "lib.sh").read_text(encoding="utf-8")
    assert sys.version_info >= (3, 11)
