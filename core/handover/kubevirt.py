# SPDX-License-Identifier: Apache-2.0
"""KubeVirt's VirtualMachine manifest for a prepared launch.

Source: KubeVirt API v1, VirtualMachineInstanceSpec.domain.launchSecurity.sev (attestation,
dhCert, policy.encryptedState, session), and pkg/util/launchsecurity for the policy it makes.
"""

from __future__ import annotations

import json
import re
from typing import Final

from ..errors import BadInput
from .requirements import Form, requirements
from .vm_order import VmOrder

_NODBG: Final = 0x1
_NODBG_ES: Final = 0x5
POLICIES: Final = (_NODBG, _NODBG_ES)
"""The only policies that KubeVirt can start: NODBG always, ES by a switch, nothing else."""

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_NAME: Final = re.compile(rf"(?=.{{1,63}}\Z){_LABEL}(?:\.{_LABEL})*", re.ASCII)
"""A DNS subdomain (RFC 1123) that can also be the value of a label."""


def kubevirt_manifest(order: VmOrder, claim: str, node: str | None = None) -> str:
    """The manifest as YAML (JSON is YAML), with what must be true in comments above.

    ``claim`` is the PersistentVolumeClaim that holds the encrypted disk, ``node`` the machine
    that the launch was prepared for. Raises BadInput ``policy-not-for-kubevirt``,
    ``kernel-not-for-kubevirt`` and ``name-not-for-kubevirt``.
    """
    _check(order)
    comments = "".join(f"# - {line}\n" for line in requirements(order, Form.KUBEVIRT))
    steps = (
        "# Session and certificate are for one machine: without a node selector the cluster may\n"
        "# put the VM elsewhere. Check with the first, go on with the second:\n"
        f"#   virtctl sev fetch-cert-chain {order.name}\n"
        f"#   virtctl sev query-measurement {order.name}\n"
    )
    document = json.dumps(_document(order, claim, node), indent=2)
    return f"# What must be true of the cluster:\n{comments}{steps}{document}\n"


def _document(order: VmOrder, claim: str, node: str | None) -> dict[str, object]:
    pinned = {} if node is None else {"nodeSelector": {"kubernetes.io/hostname": node}}
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": order.name},
        "spec": {
            "runStrategy": "Manual",
            "template": {
                "metadata": {"labels": {"kubevirt.io/domain": order.name}},
                "spec": {
                    **pinned,
                    "domain": _domain(order),
                    "volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": claim}}],
                },
            },
        },
    }


def _domain(order: VmOrder) -> dict[str, object]:
    return {
        "cpu": {"model": order.cpu, "sockets": 1, "cores": order.vcpus, "threads": 1},
        "memory": {"guest": f"{order.memory}Mi"},
        "machine": {"type": "q35"},
        "firmware": {"bootloader": {"efi": {"secureBoot": False, "persistent": False}}},
        "devices": {
            "disks": [{"name": "disk", "disk": {"bus": "virtio"}}],
            "autoattachMemBalloon": False,
        },
        "launchSecurity": {
            "sev": {
                "attestation": {},
                "policy": {"encryptedState": order.encrypted_state},
                "dhCert": order.sev.godh_base64,
                "session": order.sev.session_base64,
            }
        },
    }


def _check(order: VmOrder) -> None:
    if order.policy not in POLICIES:
        shown = " or ".join(f"0x{policy:x}" for policy in POLICIES)
        raise BadInput(
            "policy-not-for-kubevirt",
            "policy",
            f"The launch blob has 0x{order.policy:x}, and KubeVirt starts VMs with {shown} only: it"
            " sets NODBG by itself and knows no minimum API. The secure processor would refuse it.",
            "Launch by QEMU or libvirt; or prepare a launch with such a policy, which is weaker"
            " and has to be waived.",
            {"policy": order.policy, "possible": list(POLICIES)},
        )
    if order.kernel is not None:
        raise BadInput(
            "kernel-not-for-kubevirt",
            "kernel",
            "KubeVirt doesn't measure a kernel: it never asks QEMU for kernel-hashes=on.",
            "Use a guest that boots by GRUB from its encrypted disk.",
        )
    if not _NAME.fullmatch(order.name):
        raise BadInput(
            "name-not-for-kubevirt",
            "name",
            f"The VM would be called {order.name}, and names in Kubernetes have lower-case"
            " letters, digits, dots and hyphens alone, and begin and end with a letter or digit.",
            "Prepare the launch for the VM by its name in the cluster: `--host"
            " kubevirt://NAMESPACE/VM`. Or rename the guest's profile.",
            {"name": order.name},
        )
