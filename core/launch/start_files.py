# SPDX-License-Identifier: Apache-2.0
"""The files with which a host starts a prepared launch's VM, for the command and the window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ..errors import UsageError
from ..guest.profile import GuestProfile
from ..handover.kubevirt import kubevirt_manifest
from ..handover.libvirt_domain import merged_domain, new_domain
from ..handover.qemu_command import CONFIG_FILE, qemu_config, qemu_script
from ..handover.requirements import Form, requirements
from ..handover.vm_order import GODH_FILE, SESSION_FILE, VmOrder
from ..hosts.protocol import StartOrder
from .handing_over import Placement, vm_order

SCRIPT_FILE: Final = "start.sh"
_NODES_OWN: Final = "the node's own"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartForm:
    """Who starts the VM, and what he has already.

    ``merge``  XML of a libvirt domain that there is, and the name of its field in errors; None
    for a new one
    ``claim``, ``node``  KubeVirt's volume claim with the disk, and the machine if it is named
    """

    form: Form
    merge: tuple[bytes, str] | None = None
    claim: str | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True)
class StartFiles:
    """The files by their names; ``main`` is the one that starts the VM.

    ``changes``  what is different in a domain that there was, each after “in the domain”
    ``must``     what has to be true of the host, in sentences
    """

    main: str
    texts: Mapping[str, str] = field(repr=False)
    changes: tuple[str, ...] = ()
    must: tuple[str, ...] = ()


def start_files(
    profile: GuestProfile, start: StartOrder, host: str, placement: Placement, how: StartForm
) -> StartFiles:
    """Make them; nothing is written.

    Raises BadInput as ``vm_order`` and the forms do, and UsageError ``no-volume-claim``.
    """
    if how.form is Form.KUBEVIRT and placement.firmware is None and profile.firmware:
        # The cluster has its own firmware; no path of it is ever told.
        placement = replace(placement, firmware=_NODES_OWN)
    order = vm_order(profile, start, host, placement)
    must = requirements(order, how.form)
    own = {GODH_FILE: order.sev.godh_base64, SESSION_FILE: order.sev.session_base64}
    if how.form is Form.QEMU:
        texts = {**own, SCRIPT_FILE: qemu_script(order), CONFIG_FILE: qemu_config(order)}
        return StartFiles(SCRIPT_FILE, texts, (), must)
    if how.form is Form.KUBEVIRT:
        main = f"{order.name}.yaml"
        manifest = kubevirt_manifest(order, how.claim or "", how.node)
        if not how.claim:
            raise _no_claim()
        return StartFiles(main, {**own, main: manifest}, (), must)
    main = f"{order.name}.xml"
    text, changes = _domain(order, how)
    return StartFiles(main, {main: text}, changes, must)


def _domain(order: VmOrder, how: StartForm) -> tuple[str, tuple[str, ...]]:
    if how.merge is None:
        return new_domain(order), ()
    return merged_domain(order, *how.merge)


def _no_claim() -> UsageError:
    return UsageError(
        "no-volume-claim",
        "The volume claim isn't named",
        "KubeVirt finds the encrypted disk by a PersistentVolumeClaim.",
        "Write its name.",
    )
