# SPDX-License-Identifier: Apache-2.0
"""How long AMD's key service may take, how much it may say, and how often it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CONNECT_SECONDS: Final = 10.0
"""Name, connection and TLS."""

SILENCE_SECONDS: Final = 15.0
"""The longest pause between two pieces of an answer."""

TOTAL_SECONDS: Final = 30.0
"""One try from its start to the last byte, however busily the service drips."""

TRIES: Final = 3
"""Requests for one certificate before giving up. The field's own tools try three times."""

FIRST_WAIT_SECONDS: Final = 5.0
"""Pause before the second try where the service names none; it doubles with each try.

AMD asks for no more than one request in ten seconds.
"""

SHORTEST_WAIT_SECONDS: Final = 1.0
"""Pause even where the service says that none is needed."""

LONGEST_WAIT_SECONDS: Final = 60.0
"""The longest pause that is sat out; a service that asks for more is left until then."""


@dataclass(frozen=True, slots=True)
class KeyServiceLimits:
    """The limits of a client: times in seconds.

    The values differ from the constants of this module only in tests.
    """

    connect_seconds: float = CONNECT_SECONDS
    silence_seconds: float = SILENCE_SECONDS
    total_seconds: float = TOTAL_SECONDS
    tries: int = TRIES
    first_wait_seconds: float = FIRST_WAIT_SECONDS
    shortest_wait_seconds: float = SHORTEST_WAIT_SECONDS
    longest_wait_seconds: float = LONGEST_WAIT_SECONDS


DEFAULT_LIMITS: Final = KeyServiceLimits()
