# SPDX-License-Identifier: Apache-2.0
"""Holds a domain's XML against what the launch needs, and names every difference.

It is advice: a host can show any XML, and the measurement decides. But most launches fail
for a loader, a command line or a blob that is another one than the owner thinks.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from .vm_order import SevOptions, VmOrder

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class DomainDifference:
    """One difference: where it is, what the launch needs, what the XML says, what comes of it."""

    where: str
    expected: str
    found: str
    consequence: str

    def as_json(self) -> dict[str, str]:
        """The difference with stable field names."""
        return {
            "where": self.where,
            "expected": self.expected,
            "found": self.found,
            "consequence": self.consequence,
        }


MEASUREMENT = "The measurement will not match."
NO_START = "The secure processor will not start the VM."
NOT_MEASURED = "What it holds is not measured."
SAME_BYTES = "It must hold the very bytes that were approved, or the measurement will not match."


def domain_differences(domain: ET.Element, order: VmOrder) -> tuple[DomainDifference, ...]:
    """All differences, in the order of the XML; none is a good sign and no proof.

    Paths are compared as they are written: the owner's and the host's file of the same name
    may still differ, which is what the measurement is for.
    """
    return tuple(
        difference
        for part in (
            _boot(domain, order),
            _processors(domain, order),
            launch_security_differences(domain, order.sev),
        )
        for difference in part
    )


def _boot(domain: ET.Element, order: VmOrder) -> Iterator[DomainDifference]:
    machine = domain.find("os/type")
    found = "" if machine is None else machine.get("machine") or ""
    if not found.startswith(("q35", "pc-q35")):
        yield _difference("os/type/@machine", "q35", found, "OVMF for SEV needs it.")
    yield from _file("os/loader", order.firmware, domain.findtext("os/loader"))
    if domain.find("os/nvram") is not None:
        yield _difference(
            "os/nvram", "none", domain.findtext("os/nvram") or "present", NOT_MEASURED
        )
    for tag, expected in (("kernel", order.kernel), ("initrd", order.initrd)):
        yield from _file(f"os/{tag}", expected, domain.findtext(f"os/{tag}"))
    yield from _text("os/cmdline", order.cmdline, domain.findtext("os/cmdline"), MEASUREMENT)


def _processors(domain: ET.Element, order: VmOrder) -> Iterator[DomainDifference]:
    if not order.encrypted_state:
        return  # without SEV-ES neither count nor model is measured
    yield from _text("vcpu", str(order.vcpus), domain.findtext("vcpu"), MEASUREMENT)
    cpu = domain.find("cpu")
    mode = None if cpu is None else cpu.get("mode")
    model = domain.findtext("cpu/model")
    if mode in ("host-passthrough", "host-model", "maximum"):
        yield _difference(
            "cpu/@mode",
            f"custom, {order.cpu}",
            mode,
            "The measurement depends on which CPU the machine has.",
        )
    else:
        yield from _text("cpu/model", order.cpu, model, MEASUREMENT)


def launch_security_differences(domain: ET.Element, sev: SevOptions) -> Iterator[DomainDifference]:
    """Those of the element ``launchSecurity`` alone: whether it is this launch's own."""
    element = domain.find("launchSecurity")
    if element is None or element.get("type") != "sev":
        found = "nothing" if element is None else element.get("type") or "another type"
        yield _difference("launchSecurity", "sev", found, "The VM is not encrypted at all.")
        return
    hashes = element.get("kernelHashes") == "yes"
    if hashes is not sev.kernel_hashes:
        yes_no = {True: "yes", False: "no"}
        yield _difference(
            "launchSecurity/@kernelHashes",
            yes_no[sev.kernel_hashes],
            yes_no[hashes],
            MEASUREMENT,
        )
    policy = _number(element.findtext("policy"))
    if policy != sev.policy:
        found = "no number" if policy is None else f"0x{policy:x}"
        yield _difference("launchSecurity/policy", f"0x{sev.policy:x}", found, NO_START)
    for tag, expected in (("dhCert", sev.godh), ("session", sev.blob)):
        text = element.findtext(tag)
        if not _is_base64_of(text or "", expected):
            found = "nothing" if not text else "another one"
            yield _difference(f"launchSecurity/{tag}", "this launch's own", found, NO_START)


def _file(where: str, expected: str | None, found: str | None) -> Iterator[DomainDifference]:
    """A file at another path may be the same one; one that lacks is none."""
    yield from _text(where, expected, found, SAME_BYTES if expected and found else MEASUREMENT)


def _text(
    where: str, expected: str | None, found: str | None, consequence: str
) -> Iterator[DomainDifference]:
    if (expected or "") != (found or ""):
        yield _difference(where, expected or "nothing", found or "nothing", consequence)


def _difference(where: str, expected: str, found: str, consequence: str) -> DomainDifference:
    return DomainDifference(where, expected[:_LONGEST], found[:_LONGEST], consequence)


def _number(text: str | None) -> int | None:
    shown = (text or "").strip()[:20]
    try:
        return int(shown, 16 if shown.lower().startswith("0x") else 10)
    except ValueError:
        return None


def _is_base64_of(text: str, expected: bytes) -> bool:
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(data, expected)
