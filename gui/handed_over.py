# SPDX-License-Identifier: Apache-2.0
"""What a host starts a prepared launch's VM with, whole, as ``launch handover`` makes it. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from watchword.core.errors import UsageError
from watchword.core.files import read_file
from watchword.core.handover.domain_xml import LARGEST_DOMAIN
from watchword.core.handover.kubevirt import kubevirt_manifest
from watchword.core.handover.libvirt_domain import merged_domain, new_domain
from watchword.core.handover.qemu_command import CONFIG_FILE, qemu_config, qemu_script
from watchword.core.handover.requirements import Form, requirements
from watchword.core.handover.vm_order import GODH_FILE, SESSION_FILE, VmOrder
from watchword.core.hosts.protocol import StartOrder
from watchword.core.launch.handing_over import Placement, vm_order
from watchword.core.launch.profile_plan import recorded_profile
from watchword.core.launch.record import LaunchRecord

_SCRIPT: Final = "start.sh"
_NODES_OWN: Final = "the node's own"
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
    profile, placement = recorded_profile(record), wanted.placement
    if wanted.form is Form.KUBEVIRT:
        # The cluster has its own firmware; no path of it is ever told.
        placement = replace(placement, firmware=_NODES_OWN if profile.firmware else None)
    order = vm_order(profile, start, record.host, placement)
    main, files, changes = _texts(order, wanted)
    encoded = {name: text.encode() for name, text in files.items()}
    return StartMade(main, encoded, changes, requirements(order, wanted.form))


def _texts(order: VmOrder, wanted: StartWanted) -> tuple[str, dict[str, str], tuple[str, ...]]:
    own = {GODH_FILE: order.sev.godh_base64, SESSION_FILE: order.sev.session_base64}
    if wanted.form is Form.QEMU:
        files = {**own, _SCRIPT: qemu_script(order), CONFIG_FILE: qemu_config(order)}
        return _SCRIPT, files, ()
    if wanted.form is Form.KUBEVIRT:
        main = f"{order.name}.yaml"
        manifest = kubevirt_manifest(order, wanted.claim, wanted.node or None)
        if not wanted.claim:
            raise _no_claim()
        return main, {**own, main: manifest}, ()
    main = f"{order.name}.xml"
    if not wanted.merge:
        return main, {main: new_domain(order)}, ()
    existing = read_file(wanted.merge, _DOMAIN, LARGEST_DOMAIN)
    text, changes = merged_domain(order, existing, _DOMAIN)
    return main, {main: text}, changes


def _no_claim() -> UsageError:
    return UsageError(
        "no-volume-claim",
        "The volume claim isn't named",
        "KubeVirt finds the encrypted disk by a PersistentVolumeClaim.",
        "Write its name.",
    )
