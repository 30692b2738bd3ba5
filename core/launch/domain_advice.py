# SPDX-License-Identifier: Apache-2.0
"""Tells in sentences where a libvirt domain is not what a launch needs: advice, no verdict.

The host can show any XML, so nothing rests on it; but most launches that fail do so for a
loader, a command line or a processor that an owner sees here before the measurement does.
"""

from __future__ import annotations

from ..errors import BadInput, HostError
from ..guest.profile import GuestProfile
from ..hosts.host_words import visible
from ..hosts.protocol import DomainTeller, Host, StartOrder
from .handing_over import Placement, vm_order

_XML = "the domain's XML"


async def domain_advice(
    host: Host, profile: GuestProfile, start: StartOrder, *, started: bool
) -> tuple[str, ...]:
    """A sentence for each difference; none where the host shows no XML.

    ``started`` is False where the domain is still to get this launch's launchSecurity.
    Whatever keeps it from being compared is a sentence too, and never an error.
    """
    if not isinstance(host, DomainTeller):
        return ()
    from ..handover.domain_differences import domain_differences  # noqa: PLC0415 - parses XML
    from ..handover.domain_xml import parse_domain  # noqa: PLC0415 - as above
    from ..handover.libvirt_domain import secured_domain  # noqa: PLC0415 - as above

    try:
        order = vm_order(profile, start, host.url, Placement())
        text = await host.domain_xml()
        if not started:
            text = secured_domain(order.sev, text, _XML)
        found = domain_differences(parse_domain(text, _XML), order)
    except (BadInput, HostError) as problem:
        return (not_compared(problem),)
    return tuple(
        f"The domain's {one.where}: the launch needs “{visible(one.expected)}”, and it has"
        f" “{visible(one.found)}”. {one.consequence}"
        for one in found
    )


def not_compared(problem: BadInput | HostError) -> str:
    """The sentence for a domain of which nothing is known."""
    return f"The domain's XML was not compared with the profile: {problem.message}"
