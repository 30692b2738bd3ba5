# SPDX-License-Identifier: Apache-2.0
"""The bits of a guest policy in words, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QCoreApplication

from watchword.core.sev.policy import Policy, PolicyFinding, PolicyFlag

from .state_badge import Look
from .tones import Tone

FLAGS: Final = tuple(PolicyFlag)
_MOOT: Final = PolicyFlag.DOMAIN | PolicyFlag.SEV
"""They say where a guest may be sent, which is nothing if it may not be sent at all."""

translate = QCoreApplication.translate


@dataclass(frozen=True, slots=True)
class BitWords:
    """One bit: its name, what it is called in plain words, and what it means as it stands."""

    flag: PolicyFlag
    name: str
    title: str
    sentence: str


def bit_title(flag: PolicyFlag) -> str:
    """What the bit is called in plain words."""
    return {
        PolicyFlag.NODBG: translate("PolicyWords", "No debugging"),
        PolicyFlag.NOKS: translate("PolicyWords", "No key sharing"),
        PolicyFlag.ES: translate("PolicyWords", "Encrypted registers"),
        PolicyFlag.NOSEND: translate("PolicyWords", "No moving to another server"),
        PolicyFlag.DOMAIN: translate("PolicyWords", "Only to servers of the same owner"),
        PolicyFlag.SEV: translate("PolicyWords", "Only to SEV servers"),
    }[flag]


def glossary_key(flag: PolicyFlag) -> str:
    """Where the glossary explains the bit."""
    return f"policy-{str(flag.name).lower()}"


def bit_words(flag: PolicyFlag, policy: Policy) -> BitWords:
    """A bit as it stands in a policy."""
    alone = Policy(int(flag) if flag in policy.flags else 0)
    sentence = alone.in_words()[FLAGS.index(flag)]
    if flag in _MOOT and PolicyFlag.NOSEND in policy.flags:
        sentence = translate("PolicyWords", "has no effect while the guest may not be sent at all")
    return BitWords(flag, str(flag.name), bit_title(flag), sentence[0].upper() + sentence[1:] + ".")


def finding_look(finding: PolicyFinding) -> Look:
    """How something to say about a policy is shown."""
    if finding.refused:
        return Look("bad", translate("PolicyWords", "Refused"), Tone.BAD)
    return Look("warn", translate("PolicyWords", "Warning"), Tone.WARN)
