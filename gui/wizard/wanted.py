# SPDX-License-Identifier: Apache-2.0
"""What the owner has filled in for a new launch, before any of it is read. Knows no Qt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The choices for one launch; empty texts stand for nothing.

    ``host``          where the host is, in place of the profile's
    ``paths``         certificate files; ``pasted`` are those that came as text
    ``ask_host``      whether the host is asked for certificates as well
    ``ask_amd``       whether AMD's key service may be asked, which learns the chip id
    ``trusted_root``  path of an ARK that is not AMD's
    ``platform_waiver``, ``policy_waiver``, ``firmware_waiver``  typed reasons
    """

    guest: str
    host: str = ""
    paths: tuple[str, ...] = ()
    pasted: tuple[str, ...] = ()
    ask_host: bool = True
    ask_amd: bool = False
    trusted_root: str = ""
    platform_waiver: str = ""
    policy_waiver: str = ""
    firmware_waiver: str = ""
