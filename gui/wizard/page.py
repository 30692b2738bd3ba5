# SPDX-License-Identifier: Apache-2.0
"""What the wizard's pages have in common: they show one step of a launch, and ask nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, cast

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QHBoxLayout, QLayout, QVBoxLayout, QWidget

from watchword.core.launch.engine import Fact, Launch, Mark, StepState, StepStatus
from watchword.core.sev.session import LaunchMaterial

from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine
from ..widgets.fonts import NORMAL, SMALL
from ..widgets.icon_mark import IconMark
from ..widgets.page_frame import PageFrame
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .flow import Situation, is_refusal, may_have_left

Record = Mapping[str, object]


class Verdict(NamedTuple):
    """What came of a step: the words of a message on top of its page."""

    tone: Tone
    title: str
    message: str = ""


class WizardPage(PageFrame):
    """Shows one step: its record, or what was met with, or what will happen.

    ``working``  what is awaited while the step is taken
    A page only shows; buttons, and what they do, are the frame's.
    """

    step: ClassVar[str] = ""

    def __init__(self, title: str, subtitle: str, working: str) -> None:
        super().__init__(title, subtitle)
        self._working = working
        self._shown: object = None
        self._story = ""
        self.launch: Launch | None = None
        self.material: LaunchMaterial | None = None
        self.busy = BusyLine()
        self.banner = Banner()
        self.controls = QVBoxLayout()
        self.body = QVBoxLayout()
        for layout in (self.controls, self.body):
            layout.setSpacing(NORMAL)
        self.assurance = Line("shield", Tone.OK, "", bold=True)
        self.assurance.hide()
        self.story = Line("simulated", Tone.WARN, "")
        self.story.hide()
        for widget in (self.busy, self.banner, self.assurance, self.story):
            self.content.addWidget(widget)
        self.content.addLayout(self.controls)
        self.content.addLayout(self.body)

    def tell(self, story: str) -> None:
        """What a simulated host really did, to be told once it was caught."""
        self._story = story
        self.story.say(self.tr("What the simulated host did: {story}").format(story=story))
        self._shown = None

    def show_launch(self, now: Situation, material: LaunchMaterial | None) -> None:
        """Show a launch as it stands; what is shown already is left alone."""
        launch, status = now.launch, now.launch.status(self.step)
        self.launch, self.material = launch, material
        fact, mark = launch.facts.get(self.step), launch.marks.get(self.step)
        key = (fact, mark, status.state, material, now.opening)
        if key == self._shown:
            return
        self._shown = key
        self._show_work(now, status)
        self._say_state(launch, status, mark)
        clear(self.body)
        self.build(launch, fact, mark)

    # -- for the pages to fill in ----------------------------------------------------

    def build(self, launch: Launch, fact: Fact | None, mark: Mark | None) -> None:
        """Put into ``body`` what there is to show; it is empty."""

    def verdict(self, launch: Launch, record: Record) -> Verdict | None:
        """What came of the step, where it was taken and still counts."""
        del launch, record
        return None

    def before(self, launch: Launch) -> Verdict | None:
        """What to say while the step can be taken and was not."""
        del launch
        return None

    # -- what all pages say ----------------------------------------------------------

    def _show_work(self, now: Situation, status: StepStatus) -> None:
        if status.state is StepState.BUSY:
            self.busy.begin(self._working, can_cancel=False)
        elif now.opening:
            self.busy.begin(self.tr("Making ready…"), can_cancel=False)
        else:
            self.busy.end()

    def _say_state(self, launch: Launch, status: StepStatus, mark: Mark | None) -> None:
        failed = status.state is StepState.FAILED
        self._assure(self._assurance(launch) if failed else "")
        self.story.setVisible(failed and bool(self._story))
        if failed and mark is not None:
            self._say_error(Tone.BAD, mark.reason)
        elif status.state is StepState.WAITING and mark is not None:
            self._say_error(Tone.INFO, mark.reason)
        elif status.state is StepState.STALE:
            self.banner.show_message(
                Tone.WARN,
                self.tr("Something changed that this rests on"),
                self.tr("What stands here was found before. It counts for nothing any more."),
                self.tr("Have it checked again."),
            )
        elif status.state is StepState.BLOCKED:
            self.banner.show_message(
                Tone.NEUTRAL,
                self.tr("This step was not taken"),
                self.tr("An earlier step did not succeed, so nothing happened here."),
            )
        elif status.state is StepState.WAIVED:
            self.banner.show_message(
                Tone.WARN, self.tr("Waived: this was not verified"), status.reason
            )
        else:
            self._say_verdict(launch, status)

    def _assure(self, sentence: str) -> None:
        self.assurance.say(sentence)
        self.assurance.setVisible(bool(sentence))

    def _assurance(self, launch: Launch) -> str:
        """What a person wants to know first of all: whether the secret is out."""
        if may_have_left(launch):
            sealed = self.tr("If anything left, it was sealed: the host can't read it.")
            return sealed if self.step == "secret" else ""
        if is_refusal(launch, self.step):
            return self.tr("The secret did not leave. Watchword goes no further with this launch.")
        return self.tr("The secret did not leave.")

    def _say_verdict(self, launch: Launch, status: StepStatus) -> None:
        fact = launch.facts.get(self.step)
        verdict = None
        if status.state is StepState.DONE and fact is not None:
            verdict = self.verdict(launch, fact.record)
        elif status.state is StepState.READY:
            verdict = self.before(launch)
        if verdict is None:
            self.banner.clear()
        else:
            self.banner.show_message(*verdict)

    def _say_error(self, tone: Tone, reason: Record) -> None:
        details = reason.get("details")
        self.banner.show_message(
            tone,
            str(reason.get("title", "")),
            str(reason.get("message", "")),
            str(reason.get("remedy", "")),
            code=str(reason.get("code", "")),
            details=cast("Record", details) if isinstance(details, Mapping) else None,
        )


class Line(QWidget):
    """A sentence with an icon in front of it."""

    def __init__(
        self, icon: str, tone: Tone, text: str, *, bold: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SMALL)
        row.addWidget(IconMark(icon, tone), 0, Qt.AlignmentFlag.AlignTop)
        self._label = TextLabel(text, bold=bold)
        row.addWidget(self._label, 1)

    def say(self, text: str) -> None:
        """Say something else."""
        self._label.say(text)


def clear(layout: QLayout) -> None:
    """Take everything out of a layout, and delete it."""
    while (item := layout.takeAt(0)) is not None:
        widget, inner = item.widget(), item.layout()
        if widget is not None:
            widget.hide()
            widget.deleteLater()
        elif inner is not None:
            clear(inner)


def text_of(record: Record, name: str) -> str:
    """A record's value as text; empty if it is not there."""
    value = record.get(name)
    return "" if value is None else str(value)


def mapping_of(record: Record, name: str) -> Record:
    """A record's value if that is an object, else an empty one."""
    value = record.get(name)
    return cast("Record", value) if isinstance(value, Mapping) else {}


def waivers_of(launch: Launch) -> list[tuple[str, str]]:
    """What the owner waived, in words, each with the reason that he typed."""
    say = QCoreApplication.translate
    words = {
        "platform": say("Waivers", "the platform"),
        "policy": say("Waivers", "the weak policy"),
        "firmware": say("Waivers", "the firmware"),
    }
    found: list[tuple[str, str]] = []
    for step, reason in launch.waivers.items():
        fact = launch.facts.get(step)
        named = mapping_of(fact.record, "waivers") if fact is not None else {}
        if named:
            found += [(words.get(what, what), str(why)) for what, why in named.items()]
        else:
            found.append((words.get(step, launch.status(step).step.title), reason))
    return found


def list_of(record: Record, name: str) -> list[object]:
    """A record's value if that is a list, else an empty one."""
    value = record.get(name)
    return list(value) if isinstance(value, list | tuple) else []
