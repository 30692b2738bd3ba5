# SPDX-License-Identifier: Apache-2.0
"""What a watch reads in a libvirt domain's XML, and writes into it: guest, request, launch blob.

    <metadata>
      <watchword:watchword xmlns:watchword="http://watchword.local/domain/1">
        <watchword:guest>web</watchword:guest>
        <watchword:request>0123456789abcdef</watchword:request>
      </watchword:watchword>
    </metadata>

The guest is for an operator to write. The request is the watch's own: it goes into the domain
before a blob is asked for and out of it with the blob, so that whoever goes on after a crash
asks the same question, and gets the same blob. The host can write whatever it likes; nothing
here is believed. Source: libvirt docs/formatdomain, metadata (one element per namespace).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from .domain_xml import NAMESPACE, child, element_text, parse_domain
from .libvirt_domain import launch_security
from .vm_order import SevOptions

GODH_BYTES: Final = 2084
_XML: Final = "the domain's XML"
_GUEST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REQUEST: Final = re.compile(r"[0-9a-f]{16,64}")
_OWN: Final = f"{{{NAMESPACE}}}watchword"


@dataclass(frozen=True, slots=True)
class WatchedDomain:
    """What the XML says; all of it is the host's word.

    ``guest``     the guest profile's name; None where no sound one is named
    ``request``   16 to 64 hex digits; None where the watch has asked for nothing, or was answered
    ``godh``      what ``dhCert`` holds, 2084 bytes; None where it holds nothing of that size
    ``prepared``  whether there is a launch blob, of whomever
    ``sev``       whether it is an SEV domain at all
    """

    guest: str | None
    request: str | None
    godh: bytes | None
    prepared: bool
    sev: bool


def read_watched(text: str) -> WatchedDomain:
    """The domain. Raises BadInput ``bad-domain-xml``."""
    root = parse_domain(text, _XML)
    security = root.find("launchSecurity")
    sev = security is not None and security.get("type") == "sev"
    session = None if security is None or not sev else security.findtext("session")
    dh_cert = None if security is None or not sev else security.findtext("dhCert")
    return WatchedDomain(
        _sound(_GUEST, _said(root, "guest")),
        _sound(_REQUEST, _said(root, "request")),
        _godh(dh_cert),
        bool((session or "").strip()),
        sev,
    )


def with_request(text: str, request: str) -> str:
    """The domain with the watch's request in it. Raises BadInput ``bad-domain-xml``."""
    root = parse_domain(text, _XML)
    _forget_request(root)
    own = child(root, "metadata", _OWN)
    ET.SubElement(own, f"{{{NAMESPACE}}}request").text = request
    return element_text(root)


def with_blob(text: str, sev: SevOptions) -> str:
    """The domain with this launch's launchSecurity, without the request, and all else as it is.

    Raises BadInput ``bad-domain-xml``.
    """
    root = parse_domain(text, _XML)
    _forget_request(root)
    for old in root.findall("launchSecurity"):
        root.remove(old)
    root.append(launch_security(sev))
    return element_text(root)


def _forget_request(root: ET.Element) -> None:
    for own in root.findall(f"metadata/{_OWN}"):
        for name in ("request", f"{{{NAMESPACE}}}request"):
            for one in own.findall(name):
                own.remove(one)


def _said(root: ET.Element, name: str) -> str:
    own = root.find(f"metadata/{_OWN}")
    if own is None:
        return ""
    # `virsh metadata --set` puts the namespace on the outermost element alone.
    return (own.findtext(f"{{{NAMESPACE}}}{name}") or own.findtext(name) or "").strip()


def _sound(pattern: re.Pattern[str], text: str) -> str | None:
    return text if pattern.fullmatch(text) else None


def _godh(text: str | None) -> bytes | None:
    if not text or len(text) > 4 * GODH_BYTES:
        return None
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if len(data) == GODH_BYTES else None
