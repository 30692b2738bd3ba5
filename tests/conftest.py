# SPDX-License-Identifier: Apache-2.0
"""Fixtures that every test may use, and the rule for skipped tests."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from .firmware.artifacts import own_firmware, secret_kernel, shared_artifacts, stock_kernel

__all__ = ["own_firmware", "secret_kernel", "shared_artifacts", "stock_kernel"]

ROOT = Path(__file__).resolve().parent.parent

# With CI=true every other reason to skip is a failure: there the programs are installed.
ALLOWED_SKIPS = ("no SEV hardware", "no ../shared")

# No test rests on time. The same examples each time, so that a red run means the change and not
# the dice; `--hypothesis-profile search` looks for new ones.
settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False
)
settings.register_profile("watchword", settings.get_profile("search"), derandomize=True)
settings.load_profile("watchword")


def vectors_folder() -> Path:
    """Where the known answers of other people's tools are (they are never committed)."""
    return Path(os.environ.get("WATCHWORD_VECTORS") or ROOT.parent / "shared" / "vectors")


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder with known answers, or a skip that says that it is absent."""
    folder = vectors_folder()
    if not (folder / "README.md").is_file():
        pytest.skip("no ../shared/vectors")
    return folder


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], Path]:
    """Finds a program by name, or skips the test and names the Debian package that holds it."""
    listed = (ROOT / ".ci" / "debian-packages.txt").read_text(encoding="utf-8")

    def find(name: str, package: str) -> Path:
        if not re.search(rf"^{re.escape(package)}\s", listed, re.MULTILINE):
            pytest.fail(f"{package} is not in .ci/debian-packages.txt")
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"no {name} (Debian package {package})")
        return Path(path)

    return find


@pytest.fixture(scope="session", autouse=True)
def _no_second_copy_of_the_core() -> Iterator[None]:
    """Fail the run if ``core`` was imported by its folder's name, which loads every class twice."""
    yield
    assert "core" not in sys.modules, "import watchword.core, not core"


@pytest.fixture(autouse=True)
def _the_umask_stays() -> Iterator[None]:
    """Fail the test that leaves the process another umask, on which later tests would fail."""
    before = _umask()
    yield
    after = _umask()
    if after != before:
        os.umask(before)
    assert after == before, f"umask {before:03o} became {after:03o}"


def _umask() -> int:
    # To ask with os.umask is to change it, for a moment, for every thread.
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    found = re.search(r"^Umask:\s*(\d+)", status.read_text(), re.MULTILINE)
    return int(found[1], 8) if found else 0


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip that CI does not allow into a failure that gives the reason."""
    if os.environ.get("CI") != "true" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = _skip_reason(report)
    if not reason.startswith(ALLOWED_SKIPS):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: skipped, which CI=true forbids: {reason}"


def _skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    where_and_why = report.longrepr
    why = where_and_why[2] if isinstance(where_and_why, tuple) else str(where_and_why)
    return why.removeprefix("Skipped: ")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    report = yield
    _refuse_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the one line that installs what skipped tests were missing."""
    reasons = " ".join(map(_skip_reason, terminalreporter.getreports("skipped")))
    packages = sorted(set(re.findall(r"Debian package ([a-z0-9][a-z0-9+.-]*)", reasons)))
    if packages:
        terminalreporter.section("tests skipped for missing programs; this line gets them")
        terminalreporter.line(f"apt install {' '.join(packages)}")
