# SPDX-License-Identifier: Apache-2.0
"""What no document about a SEV or SEV-ES launch can prove, whoever signs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that stays open: a stable name, and a sentence."""

    code: str
    text: str

    def as_json(self) -> dict[str, str]:
        """The limit with stable field names."""
        return {"code": self.code, "text": self.text}


WHAT_SEV_CANNOT_PROVE: Final = (
    Limit(
        "secret-address",
        "Where in the guest's memory the secret was put: its address is in no MAC.",
    ),
    Limit(
        "memory-integrity",
        "That the host didn't move the guest's encrypted pages or put older ones back: SEV and"
        " SEV-ES encrypt memory and don't protect its order (SEV-SNP does).",
    ),
    Limit(
        "registers",
        "That the host didn't read or change the guest's registers, where the policy lacks ES.",
    ),
    Limit(
        "disk-rollback",
        "That the disk was not an older copy: encryption doesn't show its age.",
    ),
    Limit(
        "console",
        "That nobody typed on the guest's console, or answered what it asked there.",
    ),
    Limit(
        "secure-processor",
        "That the secure processor's firmware is sound: API, build and measurement are as true as"
        " it is, and certificates carry no date and no revocation. Whoever extracted a chip's"
        " endorsement key can forge all of this.",
    ),
    Limit(
        "hardware-access",
        "That nobody attacked the machine itself: side channels, DMA, memory buses, voltage, or"
        " whoever has it in hand.",
    ),
    Limit(
        "guest-weaknesses",
        "That what was measured is sound: firmware that falls through to its GRUB, a boot loader"
        " that prompts, or weaknesses of the guest's own programs are measured with the rest.",
    ),
    Limit(
        "which-guest",
        "That a signed report is about the very guest that got the secret: it names platform,"
        " launch digest and policy, and the host may run several such guests from one launch blob."
        " The sealed packet fits only one of them.",
    ),
    Limit(
        "afterwards",
        "That the guest went on running, or still holds what was measured: a launch is a moment.",
    ),
    Limit(
        "measurement-comparison",
        "To anybody but the owner: that the launch measurement matched. TIK, the key to it, is"
        " never disclosed, because with it the packet could be re-authenticated for another guest.",
    ),
    Limit(
        "disclosure",
        "That this document keeps anything to itself: certificates, hashes and, unless redacted,"
        " chip id, host, command line and names tell who ran what where.",
    ),
)
"""In the order in which they are shown."""
