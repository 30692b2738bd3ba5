# SPDX-License-Identifier: Apache-2.0
"""What .ci/check_tree.py and .ci/check_wheel.py object to, on a made-up repository."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
AUTHOR = "Ada <ada@example.org>"
SIGNED = f"Signed-off-by: {AUTHOR}"
SPDX = "# SPDX-License-Identifier: Apache-2.0\n"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_tree = load("check_tree")
check_wheel = load("check_wheel")


class Repository:
    """A git repository of the test's own, that no configuration of the user reaches."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "--quiet")

    def git(self, *arguments: str) -> None:
        outside = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        name, email = AUTHOR.rstrip(">").split(" <")
        own = {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_NAME": name for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": email for who in ("AUTHOR", "COMMITTER")},
        }
        subprocess.run(["git", *arguments], cwd=self.root, env={**outside, **own}, check=True)

    def commit(self, message: str) -> None:
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def add(self, name: str, content: str) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        self.git("add", name)


@pytest.fixture
def repository(tmp_path: Path, program: Callable[[str, str], Path]) -> Repository:
    program("git", "git")
    return Repository(tmp_path)


def test_signed_commits_pass(repository: Repository) -> None:
    repository.commit(f"First\n\n{SIGNED}")
    repository.commit(f"Second\n\nBecause.\n\nReviewed-by: Bob <b@example.org>\n{SIGNED}")
    assert list(check_tree.unsigned_commits(repository.root)) == []


def test_a_merge_needs_no_sign_off(repository: Repository) -> None:
    repository.commit(f"First\n\n{SIGNED}")
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit(f"Second\n\n{SIGNED}")
    repository.git("checkout", "--quiet", "-")
    repository.git("merge", "--quiet", "--no-ff", "--message", "Merge side", "side")
    assert list(check_tree.unsigned_commits(repository.root)) == []


def test_a_repository_without_commits_passes(repository: Repository) -> None:
    assert list(check_tree.unsigned_commits(repository.root)) == []


@pytest.mark.parametrize(
    "message",
    [
        "No sign-off",
        "Somebody else's\n\nSigned-off-by: Bob <bob@example.org>",
        f"In the text, not at the end\n\n{SIGNED}\n\nMore text.",
    ],
)
def test_a_commit_that_its_author_did_not_sign_off_is_named(
    repository: Repository, message: str
) -> None:
    repository.commit(f"Good\n\n{SIGNED}")
    repository.commit(message)
    (problem,) = check_tree.unsigned_commits(repository.root)
    assert message.splitlines()[0] in problem
    assert "ada@example.org" in problem


def test_files_in_order_pass(repository: Repository) -> None:
    repository.add("core/a.py", f"{SPDX}'''A.'''\n")
    repository.add("run", f"#!/bin/bash\n{SPDX}true\n")
    repository.add("notes.txt", "See https://www.example.org/a/page and pip's settings.\n")
    (repository.root / "untracked.py").touch()
    assert list(check_tree.bad_files(repository.root)) == []


@pytest.mark.parametrize("name", ["core/a.py", "run.sh", "run"])
def test_a_source_file_without_a_licence_line_is_named(repository: Repository, name: str) -> None:
    repository.add(name, "#!/bin/bash\n\n\n\n" + SPDX)
    (problem,) = check_tree.bad_files(repository.root)
    assert problem.startswith(f"{name}: ")


@pytest.mark.parametrize(
    "line",
    [
        "--index" + "-url somewhere",
        "see https://py" + "pi.org/project/watchword",
        "https://files.python" + "hosted.org/packages/x.whl",
        "https://mirror.example.org/python/sim" + "ple/",
    ],
)
def test_a_file_that_names_a_package_index_is_named(repository: Repository, line: str) -> None:
    repository.add("requirements.txt", f"first\n{line}\n")
    (problem,) = check_tree.bad_files(repository.root)
    assert problem.startswith("requirements.txt:2: ")


def test_a_wheel_with_just_the_tracked_files_passes() -> None:
    packed = ["watchword/core/a.py", "watchword-1.dist-info/METADATA"]
    assert check_wheel.differences(["core/a.py"], packed) == []


def test_a_wheel_that_lacks_a_module_or_holds_a_deleted_one_is_refused() -> None:
    problems = check_wheel.differences(["core/sev/new.py"], ["watchword/core/sev/deleted.py"])
    assert problems == [
        "tracked by git but missing from the wheel: watchword/core/sev/new.py",
        "in the wheel but not tracked by git: watchword/core/sev/deleted.py",
    ]


def test_what_a_desktop_and_a_service_need_comes_under_share_and_lib_and_nothing_else() -> None:
    installed = check_wheel.data_files((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "share/applications/local.watchword.Watchword.desktop" in installed
    assert "share/man/man1/watchword.1" in installed
    assert {"/".join(name.split("/")[:2]) for name in installed} == {
        *("share/applications", "share/icons", "share/metainfo", "share/doc"),
        *("share/bash-completion", "share/fish", "share/man", "share/zsh"),
        *("lib/systemd", "lib/sysusers.d"),
    }
    packed = [f"watchword-1.data/data/{name}" for name in installed]
    assert check_wheel.differences([], packed, installed) == []
    (missing,) = check_wheel.differences([], packed[1:], installed)
    assert missing.endswith(installed[0])
    (foreign,) = check_wheel.differences([], [*packed, "watchword-1.data/data/bin/x"], installed)
    assert foreign.endswith("bin/x")
