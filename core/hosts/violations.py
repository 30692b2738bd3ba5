# SPDX-License-Identifier: Apache-2.0
"""What a peer did that no QMP server does: the reason why a connection was given up."""

from __future__ import annotations

from enum import Enum, auto

from qemu.qmp.error import ProtocolError


class Rule(Enum):
    """The rules of the conversation that a peer can break."""

    MESSAGE_SIZE = auto()
    JSON = auto()
    JSON_DEPTH = auto()
    FLOOD = auto()
    ANSWER_ID = auto()
    ANSWER_SHAPE = auto()


class RuleBroken(ProtocolError):
    """A peer broke ``rule``; holds none of what the peer sent."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(f"the peer broke the rule {rule.name}")
        self.rule = rule
