# SPDX-License-Identifier: Apache-2.0
"""Reads from a libvirt domain's XML what a guest profile could be: the host's word, and a draft.

Whoever runs the host writes that XML. So nothing of it counts before the owner has looked at
it; files in it are the host's, named by paths there, and never this machine's.
Source: libvirt docs/formatdomain (os, vcpu, cpu, launchSecurity).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from ..errors import BadInput, UsageError
from ..sev.cpu_models import QEMU_MODELS
from ..sev.policy import DEFAULT_POLICY, Policy
from .domain_xml import parse_domain

LONGEST_TEXT: Final = 4096
"""Characters of a path or a command line."""
MOST_VCPUS: Final = 4096
_FILES: Final = ("loader", "kernel", "initrd")
_NUMBER: Final = re.compile(r"0[xX](?P<hex>[0-9a-fA-F]{1,8})|[0-9]{1,10}", re.ASCII)
_ONCE: Final = (
    *("os", "os/type", "os/loader", "os/kernel", "os/initrd", "os/cmdline"),
    *("vcpu", "cpu", "cpu/model", "launchSecurity", "launchSecurity/policy"),
)
_HOSTS_OWN: Final = ("host-passthrough", "host-model", "maximum")


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftProfile:
    """What a domain says of its guest; None where it says nothing, or nothing that can be used.

    ``policy``     one of SEV's, without reserved bits
    ``firmware``, ``kernel``, ``initrd``  paths on the host: the owner has to name own copies
    ``cmdline``    the very text, at most 4096 characters
    ``vcpus``      how many run from the start on, 1 to 4096
    ``cpu``        QEMU's name of the model
    ``notes``      what the owner should know of it, in sentences
    Texts are printable, whatever the XML had.
    """

    policy: Policy | None = None
    firmware: str | None = None
    kernel: str | None = None
    initrd: str | None = None
    cmdline: str | None = None
    vcpus: int | None = None
    cpu: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def host_files(self) -> tuple[tuple[str, str], ...]:
        """Component and path on the host, of each file that the domain loads."""
        named = (("firmware", self.firmware), ("kernel", self.kernel), ("initrd", self.initrd))
        return tuple((name, path) for name, path in named if path is not None)

    @property
    def encrypted_state(self) -> bool:
        """Whether its policy, or the default one where it has none, asks for SEV-ES."""
        return (self.policy or DEFAULT_POLICY).needs_es

    def as_json(self) -> dict[str, object]:
        """What there is, with stable field names."""
        found: dict[str, object] = {
            "policy": None if self.policy is None else self.policy.value,
            "cmdline": self.cmdline,
            "vcpus": self.vcpus,
            "cpu": self.cpu,
            "host_files": dict(self.host_files),
            "notes": list(self.notes),
        }
        return {key: value for key, value in found.items() if value is not None}


def profile_from_domain(text: str | bytes, field: str) -> DraftProfile:
    """The draft. Raises BadInput ``bad-domain-xml``, also where it can be read in two ways."""
    domain = parse_domain(text, field)
    _refuse_what_is_there_twice(domain, field)
    read = _Reader(domain, field)
    files = {tag: read.path(tag) for tag in _FILES}
    cmdline = read.text("os/cmdline")
    if files["kernel"] is None:
        files["initrd"] = cmdline = None  # QEMU takes both with a kernel alone
    policy, vcpus, cpu = read.policy(), read.vcpus(), read.cpu()
    return DraftProfile(
        policy=policy,
        firmware=files["loader"],
        kernel=files["kernel"],
        initrd=files["initrd"],
        cmdline=cmdline or None,
        vcpus=vcpus,
        cpu=cpu,
        notes=(*read.notes, *_remarks(domain, policy)),
    )


class _Reader:
    """Takes single values out of a domain; what can't be used is a note, and None."""

    def __init__(self, domain: ET.Element, field: str) -> None:
        self._domain = domain
        self._field = field
        self.notes: list[str] = []

    def text(self, where: str) -> str | None:
        """The element's very text."""
        element = self._domain.find(where)
        if element is None:
            return None
        if len(element):
            raise _bad(self._field, f"<{where}> holds more than a text.")
        text = element.text or ""
        if len(text) > LONGEST_TEXT:
            self.notes.append(f"{where} is left out: it has more than {LONGEST_TEXT} characters.")
            return None
        if not text.isprintable():
            self.notes.append(f"{where} is left out: it has characters that can't be shown.")
            return None
        return text

    def path(self, tag: str) -> str | None:
        """A file's path on the host."""
        text = (self.text(f"os/{tag}") or "").strip()
        if not text:
            return None
        if not text.startswith("/"):
            self.notes.append(f"os/{tag} is left out: it is no path from / on.")
            return None
        return text

    def policy(self) -> Policy | None:
        """That of SEV; another technology's has other bits."""
        element = self._domain.find("launchSecurity")
        if element is None or element.get("type") != "sev":
            return None
        text = (self.text("launchSecurity/policy") or "").strip()
        if not text:
            return None
        value = _number(text)
        try:
            return Policy(-1 if value is None else value)
        except UsageError:
            self.notes.append("launchSecurity/policy is left out: it is no policy of AMD SEV.")
            return None

    def vcpus(self) -> int | None:
        """How many are there at the start: ``current``, where it is said."""
        element = self._domain.find("vcpu")
        if element is None:
            return None
        most = (self.text("vcpu") or "").strip()
        value = _number(element.get("current", most).strip())
        if value is None or not 1 <= value <= MOST_VCPUS:
            self.notes.append(f"vcpu is left out: it is no number from 1 to {MOST_VCPUS}.")
            return None
        return value

    def cpu(self) -> str | None:
        """The model, if it is one that has the same signature on every machine."""
        element = self._domain.find("cpu")
        mode = "" if element is None else element.get("mode", "custom")
        if mode in _HOSTS_OWN:
            self.notes.append(
                "The domain takes over the host's own CPU. SEV-ES measures its signature: have a"
                " model named there, such as EPYC-Milan."
            )
            return None
        name = (self.text("cpu/model") or "").strip()
        if not name:
            return None
        if name not in QEMU_MODELS:
            self.notes.append("cpu/model is left out: it is none of QEMU's AMD models.")
            return None
        return name


def _remarks(domain: ET.Element, policy: Policy | None) -> Iterator[str]:
    """What stands in the way of a measured launch, or makes it weaker."""
    kind, security = domain.find("os/type"), domain.find("launchSecurity")
    if not ("" if kind is None else kind.get("machine") or "").startswith(("q35", "pc-q35")):
        yield "The machine is not q35, which OVMF for SEV needs."
    if domain.find("os/loader") is None:
        yield "The domain names no firmware (os/loader): libvirt would choose one."
    if domain.find("os/nvram") is not None:
        yield "The domain has NVRAM, and what it holds is not measured: have it taken out."
    if security is None:
        yield "The domain has no launchSecurity yet: the policy is yours to choose."
    elif security.get("type") != "sev":
        yield "Its launchSecurity is not AMD SEV's: the policy is yours to choose."
    elif domain.find("os/kernel") is not None and security.get("kernelHashes") != "yes":
        yield "Its kernel is not measured as it is now (kernelHashes); a launch has it measured."
    if policy is not None and policy.findings():
        yield (
            f"Its policy 0x{policy.value:x} asks for less than Watchword's own,"
            f" 0x{DEFAULT_POLICY.value:x}: choose that one unless you know why not."
        )


def _refuse_what_is_there_twice(domain: ET.Element, field: str) -> None:
    """Of two libvirt takes one, and it need not be the one that is read here."""
    for where in _ONCE:
        if len(domain.findall(where)) > 1:
            raise _bad(field, f"It has more than one <{where}>.")


def _number(text: str) -> int | None:
    found = _NUMBER.fullmatch(text)
    return None if found is None else int(text, 16 if found["hex"] else 10)


def _bad(field: str, problem: str) -> BadInput:
    return BadInput(
        "bad-domain-xml",
        field,
        problem,
        "Have the domain's XML put in order: `virsh edit DOMAIN` on the host.",
    )
