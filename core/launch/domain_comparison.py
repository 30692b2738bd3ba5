# SPDX-License-Identifier: Apache-2.0
"""Holds the domain that a host shows against a prepared launch, difference by difference.

As domain_advice.py, but for a person who looks at it by himself: each difference whole, those
of launchSecurity too. It is advice; the measurement decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..hosts.protocol import DomainTeller, Host, StartOrder
from .domain_draft import XML_FIELD, shows_none
from .handing_over import Placement, vm_order
from .profile_plan import recorded_profile
from .record import LaunchRecord

if TYPE_CHECKING:
    from ..handover.domain_differences import DomainDifference

_OWN: Final = "launchSecurity"


@dataclass(frozen=True, slots=True)
class DomainComparison:
    """What is different in the domain at ``url``; none is a good sign, and no proof."""

    url: str
    differences: tuple[DomainDifference, ...]

    @property
    def that_a_start_mends(self) -> tuple[DomainDifference, ...]:
        """Those of launchSecurity: a start by libvirt puts this launch's own there."""
        return tuple(one for one in self.differences if one.where.split("/")[0] == _OWN)

    @property
    def that_stay(self) -> tuple[DomainDifference, ...]:
        """The others."""
        mended = self.that_a_start_mends
        return tuple(one for one in self.differences if one not in mended)


async def compare_domain(host: Host, record: LaunchRecord, start: StartOrder) -> DomainComparison:
    """Compare them. Raises BadInput as ``vm_order`` and for XML that can't be read.

    UsageError ``host-shows-no-domain``, and HostError.
    """
    from ..handover.domain_differences import domain_differences  # noqa: PLC0415 - parses XML
    from ..handover.domain_xml import parse_domain  # noqa: PLC0415 - as above

    if not isinstance(host, DomainTeller):
        raise shows_none(host.url)
    order = vm_order(recorded_profile(record), start, host.url, Placement())
    domain = parse_domain(await host.domain_xml(), XML_FIELD)
    return DomainComparison(host.url, domain_differences(domain, order))
