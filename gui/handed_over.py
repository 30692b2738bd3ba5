# SPDX-License-Identifier: Apache-2.0
"""What a host starts a prepared launch's VM with, whole, as ``launch handover`` makes it. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from watchword.core.files import read_file
from watchword.core.handover.domain_xml import LARGEST_DOMAIN
from watchword.core.handover.requirements import Form
from watchword.core.hosts.protocol import StartOrder
from watchword.core.launch.handing_over import Placement
from watchword.core.launch.profile_plan import recorded_profile
from watchword.core.launch.record import LaunchRecord
from watchword.core.launch.start_files import StartForm, start_files

_DOMAIN: Final = "the domain's XML"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWanted:
    """What was chosen.

    ``merge``  path of the XML of a libvirt domain that there is already; empty for a new one
    ``claim``, ``node``  KubeVirt's volume claim with the disk, and the machine; node may be empty
    """

    form: Form
    placement: Placement
    merge: str = ""
    claim: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class StartMade:
    """The files for the host by their names; ``main`` is the one that starts the VM.

    ``changes``  what is different in a domain that there was, each after “in the domain”
    ``must``     what has to be true of the host, in sentences
    """

    main: str
    files: Mapping[str, bytes] = field(repr=False)
    changes: tuple[str, ...] = ()
    must: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The script, the XML or the manifest."""
        return self.files[self.main].decode()


def made_for_host(record: LaunchRecord, start: StartOrder, wanted: StartWanted) -> StartMade:
    """Make it; blocks. Raises BadInput as ``vm_order``, ``merged_domain`` and the forms do.

    UsageError ``no-volume-claim`` where KubeVirt's disk isn't named.
    """
    merge = None
    if wanted.form is Form.LIBVIRT and wanted.merge:
        merge = (read_file(wanted.merge, _DOMAIN, LARGEST_DOMAIN), _DOMAIN)
    how = StartForm(
        form=wanted.form,
        merge=merge,
        claim=wanted.claim or None,
        node=wanted.node or None,
    )
    profile = recorded_profile(record)
    made = start_files(profile, start, record.host, wanted.placement, how)
    encoded = {name: text.encode() for name, text in made.texts.items()}
    return StartMade(made.main, encoded, made.changes, made.must)
