# SPDX-License-Identifier: Apache-2.0
"""A recorded launch as the wizard drives it: it waits for people, and shows why. Knows no Qt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol, cast

from watchword.core.errors import HostError, UsageError, WatchwordError
from watchword.core.files import read_file, write_file
from watchword.core.hosts.exchange import ExchangeHost
from watchword.core.hosts.exchange_pasting import Understood
from watchword.core.hosts.exchange_turns import Turn
from watchword.core.hosts.protocol import SevState, StartOrder
from watchword.core.hosts.urls import ExchangeAddress, parse_host_url
from watchword.core.launch.desk import LaunchDesk
from watchword.core.launch.engine import Launch, Mark, StepState
from watchword.core.launch.launch_run import LaunchRun
from watchword.core.launch.record import LaunchRecord
from watchword.core.launch.sev_steps import Observer
from watchword.core.launch.surroundings import Connect
from watchword.core.sev.chain_files import LARGEST_FILE
from watchword.core.sev.session import LaunchMaterial

BeginRun = Callable[[LaunchDesk, Observer], Awaitable[LaunchRun]]
"""Begins a launch at the desk, or takes one up again."""

UNSEEN: Final = "platform-not-seen-before"
NO_VM: Final = "vm-not-started"
STARTING: Final = "vm-being-started"
_BY_HAND: Final = "exchange:"
_ABSENT: Final = ("host-socket-missing", "host-refused-connection")
_NO_SEV: Final = "sev-not-enabled"
"""What a QEMU answers that is there for the platform's certificates alone."""
_STARTERS: Final = ("libvirt+", "kubevirt:")
_SHUT_OFF: Final = ("libvirt-domain-not-running", "kubevirt-refused")
"""What hosts that can start a VM by themselves say of one that isn't started."""
_NOT_LOADED: Final = (SevState.UNINIT, SevState.LAUNCH_UPDATE)
_ORDER: Final = ("guest", "platform", "session", "start", "measurement", "secret", "run")
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_PLAIN: Final = (
    "Somebody answers there, but not a VM that SEV protects. Most likely the VM is not started yet,"
    " or it was started without the options that belong to the launch blob."
)
_LOADING: Final = "Somebody answers there, but no VM is loaded and measured yet."
_ANSWER: Final = "the answer"


class Given(Protocol):
    """What was dropped or pasted: a file by its path, or a text."""

    @property
    def path(self) -> str:
        """Of a file."""
        ...

    @property
    def text(self) -> str:
        """Where it is no file."""
        ...


@dataclass(slots=True)
class OwnersWords:
    """What the owner has said on a page since the steps were taken last; heard once.

    Written in the GUI's thread while nothing is at work, read in the loop's.

    ``host``             where the VM is, from now on
    ``accept_platform``  fingerprint of the CEK that the owner looked at
    """

    host: str | None = None
    accept_platform: str | None = None

    def hear(self) -> OwnersWords:
        """What was said; it is forgotten here."""
        said = replace(self)
        self.host = self.accept_platform = None
        return said


class RecordedRun:
    """A WizardRun over the desk's LaunchRun; belongs to the loop's thread.

    Where it differs: a platform that is seen for the first time stops the launch before
    anything is made for it, and a VM that is not there yet is waited for without an end.
    After an error the steps are taken again from the first one; what is shown meanwhile
    is what was shown before, so that pages don't jump back.
    """

    def __init__(self, desk: LaunchDesk, connect: Connect, observe: Observer) -> None:
        self._desk = desk
        self._connect = connect
        self._observe = observe
        self.words = OwnersWords()
        self._inner: LaunchRun | None = None
        self._shown: Launch | None = None
        self._mark: tuple[str, Mark] | None = None
        self._launch_id = ""
        self._known: LaunchRecord | None = None
        self._closed = False
        self._to_start = False

    async def begin(self, begin: BeginRun) -> None:
        """Open the launch; raises as the desk does."""
        self._inner = await begin(self._desk, self._hear)
        self._launch_id = self._inner.id
        self._show(self._inner.launch)

    def close(self) -> None:
        """Let others work on the launch, for good."""
        self._closed = True
        self._put_down()

    def _put_down(self) -> None:
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.close()

    # -- what the wizard sees ------------------------------------------------------

    @property
    def launch(self) -> Launch:
        """The launch, with what it waits for at this moment."""
        launch = self._shown or self._run().launch
        if self._mark is None:
            return launch
        step, mark = self._mark
        return replace(launch, marks={**launch.marks, step: mark})

    @property
    def material(self) -> LaunchMaterial | None:
        """GODH and launch blob, once they are recorded."""
        inner = self._inner
        return None if inner is None else inner.material

    @property
    def start_order(self) -> StartOrder | None:
        """What a host needs to start the VM, once it is recorded."""
        inner = self._inner
        return None if inner is None else inner.start_order

    @property
    def record(self) -> LaunchRecord | None:
        """What is recorded of it, as the vault vouched for it when it was opened."""
        return self._known

    @property
    def id(self) -> str:
        """The launch's id."""
        return self._launch_id

    @property
    def host(self) -> str:
        """Where its VM is or will be; empty where nobody has said it."""
        known = self._known
        return "" if known is None else known.host

    @property
    def can_be_started(self) -> bool:
        """Whether there is a launch blob, and a host that can start a VM with it, once."""
        prepared = self._known is not None and not self._known.keys_are_gone
        return prepared and self.start_order is not None and can_start(self.host)

    @property
    def told_to_start(self) -> bool:
        """Whether the host is being told to start the VM, or is to be told at once."""
        return self._to_start

    def start_for_me(self) -> None:
        """Have the host told once, in two seconds or when steps are taken next; in any thread."""
        self._to_start = True

    @property
    def by_hand(self) -> bool:
        """Whether a person carries everything to the host and back."""
        return self.host.startswith(_BY_HAND)

    # -- texts for and from an operator; these block, in any thread ----------------------

    def outgoing_text(self, turn: int) -> str:
        """The text of a turn; raises as ExchangeHost.outgoing_text does."""
        return self._exchange().outgoing_text(turn)

    def take_answers(self, turn: int, given: Sequence[Given]) -> Understood | None:
        """Put answers among the files of a turn; what the last text said, None for none.

        What is no text is saved under its name, and judged by the next step. Raises as
        ExchangeHost.accept_pasted does, and BadInput.
        """
        host = self._exchange()
        understood = None
        for one in given:
            text = one.text or _text_of(one.path)
            if text is not None:
                understood = host.accept_pasted(turn, text)
            else:
                data = read_file(one.path, _ANSWER, LARGEST_FILE)
                place = Path(self._address().path) / Turn(turn).folder
                write_file(place / Path(one.path).name, data, field=_ANSWER)
        return understood

    def _exchange(self) -> ExchangeHost:
        return ExchangeHost(self._address(), self._launch_id)

    def _address(self) -> ExchangeAddress:
        address = parse_host_url(self.host)
        if not isinstance(address, ExchangeAddress):
            raise UsageError(
                "not-an-exchange",
                "Nobody carries answers to this host",
                "Watchword asks it directly.",
                "Have it looked again.",
            )
        return address

    async def run(self, until: str | None = None) -> Launch:
        """Take the steps; raises as LaunchRun.run, after it heard the owner's words."""
        goal = _ORDER.index(until or _ORDER[-1])
        self._say(None)
        self._listen()
        try:
            self._show(_at_work(self.launch))
            await self._take(goal)
        finally:
            if self._mark is not None and self._mark[1].state is StepState.BUSY:
                self._mark = None
            self._to_start = False  # whatever came of it, it is not told again unasked
            if self._inner is not None:
                self._show(self._inner.launch)
        return self.launch

    # -- how it gets there -----------------------------------------------------------

    def _run(self) -> LaunchRun:
        if self._inner is None:
            self._reopen(OwnersWords())
        return cast("LaunchRun", self._inner)

    def _reopen(self, said: OwnersWords) -> None:
        if self._closed:
            raise _left(self._launch_id)
        self._inner = self._desk.open(
            self._launch_id, self._hear, host=said.host, accept_platform=said.accept_platform
        )

    async def _take(self, goal: int) -> None:
        run = self._run()
        await run.run(_ORDER[min(goal, _ORDER.index("platform"))])
        if self._unseen(run.launch):
            self._say(_waits_for_owner(run.launch))
            return
        await run.run(_ORDER[min(goal, _ORDER.index("session"))])
        if goal > _ORDER.index("session") and self._must_wait(run):
            await self._wait_for_vm(run)
            if self._to_start:
                self._say(("start", Mark(StepState.BUSY, _starting(self.host), {})))
                await run.run("start")
                self._say(None)
        await run.run(_ORDER[goal])

    def _listen(self) -> None:
        said = self.words.hear()
        if said == OwnersWords():
            return
        self._put_down()
        self._reopen(said)

    def _hear(self, launch: Launch) -> None:
        """The newest value, unless it only catches up with what is shown already."""
        shown = self._shown
        if shown is None or _troubled(launch) or launch.facts.keys() >= shown.facts.keys():
            self._show(launch)

    def _show(self, launch: Launch) -> None:
        self._shown = launch
        if self._inner is not None:
            self._known = self._inner.record
        self._observe(self.launch)

    def _say(self, mark: tuple[str, Mark] | None) -> None:
        if mark != self._mark:
            self._mark = mark
            self._observe(self.launch)

    def _unseen(self, launch: Launch) -> bool:
        """Whether a person has to look at the platform first: proven, and named by nobody."""
        fact = launch.facts.get("platform")
        if fact is None or self._run().record.keys_are_gone:
            return False
        return fact.record.get("platform") == "verified" and not fact.record.get("accepted")

    # -- waiting for the VM -------------------------------------------------------------

    def _must_wait(self, run: LaunchRun) -> bool:
        asked = bool(self.host) and not self.by_hand
        return asked and not run.launch.status("start").settled

    async def _wait_for_vm(self, run: LaunchRun) -> None:
        pause = _FIRST_PAUSE
        while (reason := await self._why_absent(run)) is not None:
            self._say(("start", Mark(StepState.BUSY, reason, {})))
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _why_absent(self, run: LaunchRun) -> Mapping[str, object] | None:
        """Why there is no VM to measure yet; None if there is, or for the steps to find out."""
        url = run.record.host
        # A host that is not told to start the VM must not be by the step that finds it either.
        asked_first = not self._to_start and not run.record.keys_are_gone
        try:
            host = await self._connect(url, run.id)
        except HostError as error:
            if asked_first and can_start(url):
                raise
            return _reason(error.message, url) if error.code in _ABSENT else None
        except WatchwordError:
            return None
        try:
            state = (await host.state()).state
        except HostError as error:
            if asked_first and error.code in _SHUT_OFF:
                return _reason(error.message, url)
            if error.code == _NO_SEV:
                return _reason(_PLAIN, url)
            if asked_first and can_start(url):
                raise
            return None
        finally:
            await host.close()
        if state not in _NOT_LOADED:
            return None
        return _reason(_LOADING, url)


def can_start(host: str) -> bool:
    """Whether a host can be told to start the VM, by its URL."""
    return host.startswith(_STARTERS)


def _waits_for_owner(launch: Launch) -> tuple[str, Mark]:
    reason = {
        "code": UNSEEN,
        "title": "You see this platform for the first time",
        "message": "Its chain shows that the processor is AMD's, not whose machine it is in.",
        "remedy": "Compare the fingerprint with what the machine's owner told you, then accept it.",
        "cek_sha256": launch.facts["platform"].record.get("cek_sha256"),
    }
    return "platform", Mark(StepState.WAITING, reason, {})


def _reason(why: str, url: str) -> dict[str, object]:
    return {"code": NO_VM, "title": "The VM is not there yet", "message": why, "host": url}


def _starting(url: str) -> dict[str, object]:
    return {
        "code": STARTING,
        "title": "The host is being told to start the VM",
        "message": "It is to start paused, with this launch's own keys. That may take a while.",
        "host": url,
    }


def _troubled(launch: Launch) -> bool:
    return any(mark.state is not StepState.BUSY for mark in launch.marks.values())


def _at_work(launch: Launch) -> Launch:
    """The launch with its next step at work, and without what became of the last attempt."""
    launch = replace(launch, marks={})
    step = launch.next_step()
    return launch if step is None else launch.begin(step.id)


def _text_of(path: str) -> str | None:
    """A file's text, None where it is none; raises BadInput as read_file does."""
    data = read_file(path, _ANSWER, LARGEST_FILE)
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def _left(launch_id: str) -> UsageError:
    return UsageError(
        "launch-closed",
        "The launch is not open any more",
        f"The page of {launch_id} was left.",
        "Resume it from the list of launches.",
        {"launch": launch_id},
    )
