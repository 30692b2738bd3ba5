# SPDX-License-Identifier: Apache-2.0
"""Asks a host for the XML of one of its VMs, and reads a draft of a guest profile from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import UsageError
from ..hosts.protocol import DomainTeller, Host

if TYPE_CHECKING:
    from ..handover.profile_from_domain import DraftProfile

XML_FIELD: Final = "the domain's XML"
HOSTS_WORD: Final = (
    "All of this is the host's word. Look at each value before you keep it, and name files of your"
    " own: the paths are the host's."
)
"""What is said of every draft."""


async def draft_from_host(host: Host) -> DraftProfile:
    """The draft; nothing of it is approved, and no file is looked at.

    Raises UsageError ``host-shows-no-domain``, BadInput ``bad-domain-xml``, and HostError.
    """
    from ..handover.profile_from_domain import profile_from_domain  # noqa: PLC0415 - parses XML

    if not isinstance(host, DomainTeller):
        raise shows_none(host.url)
    return profile_from_domain(await host.domain_xml(), XML_FIELD)


def shows_none(url: str) -> UsageError:
    """The error for a host that is not libvirt's."""
    return UsageError(
        "host-shows-no-domain",
        "This host doesn't show how its VM is defined",
        f"{url} is not libvirt's, and only libvirt shows a domain's XML.",
        "Fill the profile in by yourself, or name a libvirt host with its VM:"
        " libvirt+qemu:///system?domain=vm1.",
        {"host": url},
    )
