# SPDX-License-Identifier: Apache-2.0
"""docs/attacks.md: every attack that the simulator can play, and how a real rehearsal of it ended.

Each attack is played with ``watchword rehearse --attack``, and its line of the document
compared with what came of it. WATCHWORD_WRITE_DOCS=1 writes the document anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import io
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from watchword.core.cli import main as command_line
from watchword.core.cli import rehearse_command
from watchword.core.hosts.limits import DEFAULT_LIMITS, HostLimits
from watchword.core.rehearsal.rehearse import RehearsalOutcome, rehearse
from watchword.core.simulator import ATTACKS, Attack, PlatformKeys

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "attacks.md"
WRITE = "WATCHWORD_WRITE_DOCS"
WRITING = bool(os.environ.get(WRITE))
REMEDY = f"If that is meant, write the document anew: {WRITE}=1 ./test tests/end_to_end"
HONEST = Attack
PLAYED = (HONEST, *ATTACKS)

# Attacks that consist of making the owner wait are played with these, each value of its own,
# so that the words can be given the values that people meet.
WAITING = ("silence", "slow-drip", "second-client", "answers-late")
SHORT = HostLimits(greeting_seconds=1.25, command_seconds=1.0, inject_seconds=0.75)
SECONDS = {
    f"{getattr(SHORT, name):g} s": f"{getattr(DEFAULT_LIMITS, name):g} s"
    for name in ("greeting_seconds", "command_seconds", "inject_seconds")
}
SOCKET = re.compile(r"qmp\+unix://\S+?\.sock")

HEAD = f"""\
# What a hostile host can try, and how it ends

Each of these is played by `watchword rehearse --attack NAME` over a real QMP socket, against a \
simulated platform under a root of its own. The lines come from such rehearsals: \
`tests/end_to_end/test_attack_table.py` fails where one ends in another way, and with \
`{WRITE}=1` writes this page anew.

Exit status 3: refused, something did not verify. 4: the host misbehaves. In none of these does \
the host see the secret in clear: it is sealed only for a VM whose measurement verified, and \
only the secure processor opens it, for that VM alone.

Every wait has a limit, {DEFAULT_LIMITS.greeting_seconds:g} s for the greeting, \
{DEFAULT_LIMITS.command_seconds:g} s for an answer and {DEFAULT_LIMITS.inject_seconds:g} s for an \
injection; where the host lets the owner wait, the rehearsals behind this page use shorter ones, \
and the page names those that people meet.

| attack | what the host does | exit | error | what Watchword says | the secret |
|---|---|---|---|---|---|
"""


@dataclass(slots=True)
class Page:
    """The document's lines; collected for writing it, if that was asked for."""

    written: list[str] = field(default_factory=list)
    found: dict[str, str] = field(default_factory=dict)

    def render(self) -> str:
        """The document with the lines that were found, in the order of the list of attacks."""
        old = {line.split("`")[1]: line for line in self.written if line.startswith("| `")}
        lines = {**old, **self.found}
        return HEAD + "".join(
            f"{lines[name_of(attack)]}\n" for attack in PLAYED if name_of(attack) in lines
        )


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.is_file() else ""
    collected = Page(text.splitlines())
    yield collected
    if WRITING:
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text(collected.render(), encoding="utf-8")


@pytest.fixture(scope="module")
def keys() -> PlatformKeys:
    """One machine for all; 2048-bit CA keys are made faster, and no verdict rests on their size."""
    return PlatformKeys.generate(2048)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the attack that puts another one in its place."""
    path = tmp_path_factory.mktemp("boot") / "kernel"
    path.write_bytes(b"kernel" * 50)
    return path


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Temporary files of a rehearsal go to a folder of the test, which must be empty afterwards."""
    with tempfile.TemporaryDirectory(prefix="wwt") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield
        assert list(Path(folder).iterdir()) == []


def name_of(attack: type[Attack]) -> str:
    return attack.name or "none"


def description_of(attack: type[Attack]) -> str:
    return attack.description or "The host is honest."


@pytest.fixture
def play(
    keys: PlatformKeys, kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[int, dict]]:
    """Runs ``watchword rehearse`` with a given machine; exit status and JSON."""

    async def bounded(*arguments: object, attack: str | None) -> RehearsalOutcome:
        limits = SHORT if attack in WAITING else DEFAULT_LIMITS
        async with asyncio.timeout(60):
            outcome = await rehearse(*arguments, attack=attack, keys=keys, limits=limits)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return outcome

    def run(attack: str) -> tuple[int, dict]:
        words = ["rehearse", "--json"] + ([f"--attack={attack}"] if attack else [])
        if attack == "wrong-kernel":
            words += [f"--kernel={kernel}", "--cmdline=quiet"]
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            status = command_line.main(words)
        return status, json.loads(said.getvalue())

    monkeypatch.setattr(rehearse_command, "rehearse", bounded)
    # Hardening is for a process that does nothing else.
    monkeypatch.setattr(command_line, "harden_process", lambda: None)
    monkeypatch.setattr(command_line.signal, "signal", lambda *_: None)
    return run


def line_of(attack: type[Attack], status: int, result: dict) -> str:
    """The line of the document: the ending of a rehearsal in one row."""
    error = result.get("error")
    cells = (
        f"`{name_of(attack)}`",
        _cell(description_of(attack)),
        str(status),
        f"`{error['code']}`" if error else "none",
        _words(error) if error else "All steps are done.",
        _secret(result),
    )
    return f"| {' | '.join(cells)} |"


def _words(error: dict) -> str:
    """What happened, why, what to do."""
    title, rest = error["title"], f"{error['message']} {error['remedy']}"
    return f"**{_cell(title)}.** {_cell(_as_people_meet_it(rest))}"


def _as_people_meet_it(words: str) -> str:
    """The words with the limits as shipped, and without the name of a temporary socket."""
    for short, shipped in SECONDS.items():
        words = words.replace(f" {short}", f" {shipped}")
    return SOCKET.sub("qmp+unix:///…/vm.sock", words)


def _cell(text: str) -> str:
    """Text in a cell: a host's words are no markup here either."""
    return html.escape(text, quote=False).replace("|", "&#124;").replace("\\", "\\\\")


def _secret(result: dict) -> str:
    states = {step["step"]: step["state"] for step in result["steps"]}
    if states["measurement"] != "done":
        return "not sealed"
    if result["secret_in_guest"]:
        return "sealed; read by the VM that was verified"
    return "sealed; opened by nobody"


@pytest.mark.parametrize("attack", PLAYED, ids=name_of)
def test_it_ends_as_documented(
    page: Page, play: Callable[[str], tuple[int, dict]], attack: type[Attack]
) -> None:
    status, result = play(attack.name)
    assert result["simulated"] is True
    assert result["secret_seen_by_host"] is False
    assert status in ((0,) if attack is HONEST else (3, 4))
    line = line_of(attack, status, result)
    page.found[name_of(attack)] = line
    if not WRITING:
        assert line in page.written, f"docs/attacks.md does not say: {line}\n{REMEDY}"


def test_the_document_holds_every_attack_in_order_and_nothing_else(page: Page) -> None:
    if WRITING:
        pytest.skip("the document is being written")
    rows = [line for line in page.written if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [name_of(attack) for attack in PLAYED], REMEDY
    assert Page(page.written).render().splitlines() == page.written, REMEDY
