# SPDX-License-Identifier: Apache-2.0
"""libvirt's domain XML for a prepared launch: a new domain, or what an existing one lacks for it.

Source: libvirt docs/formatdomain (launchSecurity, os, memtune) and kbase/launch_security_sev.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree as ET

from .domain_xml import child, element_text, parse_domain, remove_all
from .vm_order import SevOptions, VmOrder

_LINE: Final = 64
_BEYOND_MEMORY: Final = 512
"""MiB that QEMU may lock beside the VM's memory."""


def new_domain(order: VmOrder) -> str:
    """A whole domain. It is started paused: `virsh create --paused FILE`."""
    root = ET.Element("domain", {"type": "kvm"})
    child(root, "name").text = order.name
    _set_memory(root, order)
    child(root, "cpu")
    features = child(root, "features")
    for name in ("acpi", "apic"):
        ET.SubElement(features, name)
    _adapt(root, order)
    devices = child(root, "devices")
    if order.disk is not None:
        devices.append(_disk(order.disk, order.disk_format))
    ET.SubElement(devices, "console", {"type": "pty"})
    ET.SubElement(devices, "memballoon", {"model": "none"})
    return element_text(root)


def merged_domain(order: VmOrder, existing: str | bytes, field: str) -> tuple[str, tuple[str, ...]]:
    """An existing domain with what the launch needs, and what was changed, in sentences.

    Name, memory and devices stay as they are. Raises BadInput ``bad-domain-xml``.
    """
    root = parse_domain(existing, field)
    before = {tag: _canonical(root.find(tag)) for tag in _ADAPTED}
    kind = root.get("type")
    had_nvram = root.find("os/nvram") is not None
    _adapt(root, order)
    _share_buffers(root)
    changes = [
        f"<{tag}> is {'added' if old is None else 'changed'}"
        for tag, old in before.items()
        if _canonical(root.find(tag)) != old
    ]
    if kind != "kvm":
        changes.append("the domain's type is kvm")
    if had_nvram:
        changes.append("<nvram> is gone: what it holds is not measured")
    return element_text(root), tuple(changes)


def secured_domain(sev: SevOptions, existing: str | bytes, field: str) -> str:
    """An existing domain with this launch's launchSecurity, and all else as it is.

    Raises BadInput ``bad-domain-xml``.
    """
    root = parse_domain(existing, field)
    remove_all(root, "launchSecurity")
    root.append(launch_security(sev))
    return element_text(root)


_ADAPTED: Final = ("os", "vcpu", "cpu", "on_reboot", "memoryBacking", "memtune", "launchSecurity")


def _canonical(element: ET.Element | None) -> str | None:
    if element is None:
        return None
    return ET.canonicalize(ET.tostring(element, encoding="unicode"), strip_text=True)


def _adapt(root: ET.Element, order: VmOrder) -> None:
    """Whatever the measurement rests on, and what SEV needs to run at all."""
    root.set("type", "kvm")
    _set_boot(child(root, "os"), order)
    vcpu = child(root, "vcpu")
    vcpu.attrib.pop("current", None)
    vcpu.text = str(order.vcpus)
    _set_cpu(child(root, "cpu"), order)
    # A guest that restarts by itself would come back unmeasured.
    child(root, "on_reboot").text = "destroy"
    child(root, "memoryBacking", "locked")
    _set_lock_limit(root, order)
    remove_all(root, "launchSecurity")
    root.append(launch_security(order.sev))


def _set_boot(os: ET.Element, order: VmOrder) -> None:
    os.attrib.pop("firmware", None)  # or libvirt would choose another image by itself
    for tag in ("nvram", "loader", "firmware", "kernel", "initrd", "cmdline"):
        remove_all(os, tag)
    kind = child(os, "type")
    kind.text = "hvm"
    kind.set("arch", "x86_64")
    if not (kind.get("machine") or "").startswith(("q35", "pc-q35")):
        kind.set("machine", "q35")
    loader = ET.SubElement(os, "loader", {"readonly": "yes", "type": "pflash", "stateless": "yes"})
    loader.text = order.firmware
    for tag, text in (
        ("kernel", order.kernel),
        ("initrd", order.initrd),
        ("cmdline", order.cmdline),
    ):
        if text is not None:
            ET.SubElement(os, tag).text = text


def _set_cpu(cpu: ET.Element, order: VmOrder) -> None:
    cpu.set("mode", "custom")
    cpu.set("match", "exact")
    model = child(cpu, "model")
    model.set("fallback", "forbid")
    model.text = order.cpu
    topology = cpu.find("topology")
    if topology is not None:
        cpu.remove(topology)  # it would have to fit the number of vCPUs


def _set_memory(root: ET.Element, order: VmOrder) -> None:
    for tag in ("memory", "currentMemory"):
        memory = child(root, tag)
        memory.set("unit", "MiB")
        memory.text = str(order.memory)


def _set_lock_limit(root: ET.Element, order: VmOrder) -> None:
    """SEV pins the VM's memory, and libvirt has to be told how much that may be."""
    if root.find("memtune/hard_limit") is None:
        limit = child(root, "memtune", "hard_limit")
        limit.set("unit", "MiB")
        limit.text = str(order.memory + _BEYOND_MEMORY)


def _disk(path: str, disk_format: str) -> ET.Element:
    disk = ET.Element("disk", {"type": "file", "device": "disk"})
    ET.SubElement(disk, "driver", {"name": "qemu", "type": disk_format, "iommu": "on"})
    ET.SubElement(disk, "source", {"file": path})
    ET.SubElement(disk, "target", {"dev": "vda", "bus": "virtio"})
    return disk


def _share_buffers(root: ET.Element) -> None:
    """Virtio devices can only reach memory that the guest shares on purpose: iommu='on'."""
    for device in _virtio_devices(root):
        child(device, "driver").set("iommu", "on")


def _virtio_devices(root: ET.Element) -> Iterator[ET.Element]:
    for disk in root.findall("devices/disk"):
        target = disk.find("target")
        if target is not None and target.get("bus") == "virtio":
            yield disk
    for interface in root.findall("devices/interface"):
        model = interface.find("model")
        if model is not None and (model.get("type") or "").startswith("virtio"):
            yield interface


def launch_security(sev: SevOptions) -> ET.Element:
    """The element ``launchSecurity``; libvirt finds out two numbers itself where they lack."""
    element = ET.Element("launchSecurity", {"type": "sev"})
    if sev.kernel_hashes:
        element.set("kernelHashes", "yes")
    for tag, number in (
        ("cbitpos", sev.cbitpos),
        ("reducedPhysBits", sev.reduced_phys_bits),
    ):
        if number is not None:
            ET.SubElement(element, tag).text = str(number)
    ET.SubElement(element, "policy").text = f"0x{sev.policy:04x}"
    ET.SubElement(element, "dhCert").text = _wrapped(sev.godh_base64)
    ET.SubElement(element, "session").text = _wrapped(sev.session_base64)
    return element


def _wrapped(text: str) -> str:
    """Base64 in lines that can be mailed; QEMU, who decodes it, takes no notice of them."""
    return "\n".join(text[at : at + _LINE] for at in range(0, len(text), _LINE))
