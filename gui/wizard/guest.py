# SPDX-License-Identifier: Apache-2.0
"""The page *Guest*: what is to run, and what the host's processor has to measure then."""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtWidgets import QWidget

from watchword.core.launch.engine import Fact, Launch, Mark
from watchword.core.sev.policy import Policy

from ..widgets.foldable import Foldable
from ..widgets.key_value_table import KeyValueTable
from ..widgets.policy_view import PolicyView
from .digest_rows import digest_rows
from .page import WizardPage


class GuestPage(WizardPage):
    """``choices`` is where the owner chooses; below it stands what follows from that."""

    step: ClassVar[str] = "guest"

    def __init__(self, choices: QWidget | None = None) -> None:
        super().__init__(
            self.tr("What should run"),
            self.tr(
                "You approve exactly what is to run. Later the host's processor measures what was"
                " really loaded, and only if that is the same does the guest get its secret."
            ),
            self.tr("Working out what will be measured…"),
        )
        if choices is not None:
            self.controls.addWidget(choices)

    def build(self, launch: Launch, fact: Fact | None, mark: Mark | None) -> None:
        """The launch digest and the policy, folded away: a beginner needs neither."""
        del mark
        if fact is None:
            return
        digests = Foldable(self.tr("What will be measured"))
        digests.body.addWidget(KeyValueTable(digest_rows(fact.record)))
        self.body.addWidget(digests)
        policy = launch.answers.get("policy")
        if isinstance(policy, int):
            words = Foldable(self.tr("What the host may not do: the policy"))
            words.body.addWidget(PolicyView(Policy(policy)))
            self.body.addWidget(words)
