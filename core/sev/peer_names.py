# SPDX-License-Identifier: Apache-2.0
"""What other programs call the parts of a launch: in their answers, and as names of files.

Sources: QEMU qapi/misc-target.json; libvirt's virsh (nodesevinfo, domlaunchsecinfo,
domsetlaunchsecstate); KubeVirt's virtctl sev (API v1 SEVPlatformInfo, SEVMeasurementInfo,
SEVSessionOptions, SEVSecretOptions); AMDESE/sev-tool src/commands.h; virtee/sevctl src/session.rs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Kind(StrEnum):
    """What a file is."""

    CHAIN = "chain"
    GODH = "godh"
    SESSION = "session"
    TK = "tk"
    """TEK and TIK, one after the other."""
    TEK = "tek"
    TIK = "tik"
    HEADER = "header"
    PAYLOAD = "payload"
    MEASUREMENT = "measurement"
    """What a host reports: MAC 32 and nonce 16, perhaps with version and policy."""
    REPORT = "report"
    """An attestation report."""


PLATFORM_FIELDS: Final = ("pdh", "cert-chain", "cpu0-id")
VERSION_FIELDS: Final = ("api-major", "api-minor", "build-id")
_FIELDS: Final = (
    *PLATFORM_FIELDS,
    *VERSION_FIELDS,
    "cbitpos",
    "reduced-phys-bits",
    "policy",
    "enabled",
    "state",
    "running",
    "sev-type",
    "vcpus",
    "measurement",
    "report",
    "dh-cert",
    "session",
    "packet-header",
    "secret",
)
"""The names that QEMU gives to fields, or that are ours where it has none."""
_OTHER_NAMES: Final = {
    "build": "build-id",
    "header": "packet-header",
    "payload": "secret",
    "sevsecretheader": "packet-header",
    "sevsecret": "secret",
    "sevmeasurement": "measurement",
    "sevapimajor": "api-major",
    "sevapiminor": "api-minor",
    "sevbuildid": "build-id",
    "sevpolicy": "policy",
}


def _squashed(name: str) -> str:
    """A name without the hyphens, underscores and capitals by which programs differ."""
    return name.lower().replace("-", "").replace("_", "")


_KNOWN: Final[Mapping[str, str]] = MappingProxyType(
    {**{_squashed(name): name for name in _FIELDS}, **_OTHER_NAMES}
)


def known_field(name: str) -> str | None:
    """QEMU's name for a field, however another program spells it; None for one not known here.

    ``cert-chain`` (QEMU, virsh) and ``certChain`` (virtctl) are the same field.
    """
    return _KNOWN.get(_squashed(name))


def known_fields(answer: Mapping[str, object]) -> dict[str, object]:
    """The known fields of an answer that have a value, by QEMU's names; the first spelling counts.

    What is empty or null is as good as not there: virsh and virtctl print it so.
    """
    found: dict[str, object] = {}
    for name, value in answer.items():
        known = known_field(name)
        if known is not None and value not in (None, ""):
            found.setdefault(known, value)
    return found


_NAME_HINTS: Final = (
    (re.compile(r"header$|hdr$"), Kind.HEADER),
    (re.compile(r"payload$|secret$"), Kind.PAYLOAD),
    (re.compile(r"godh$|dhcert$|dh_cert$"), Kind.GODH),
    (re.compile(r"session$|launch_blob$"), Kind.SESSION),
    (re.compile(r"(^|_)tek$"), Kind.TEK),
    (re.compile(r"(^|_)tik$"), Kind.TIK),
    (re.compile(r"(^|_)tk$"), Kind.TK),
    (re.compile(r"report$"), Kind.REPORT),
    (re.compile(r"measure$|measurement$|measurement_out$|launchsecinfo$"), Kind.MEASUREMENT),
    (
        re.compile(r"(^|_)(pdh|pek|oca|cek|ask|ark|chain|nodesevinfo|certs_export)(_out)?$"),
        Kind.CHAIN,
    ),
)


def kind_by_name(name: str) -> Kind | None:
    """What a file's name says it is, as peers name their files; None if it says nothing."""
    stem = re.split(r"[/\\]", name)[-1].partition(".")[0].lower().replace("-", "_")
    return next((kind for pattern, kind in _NAME_HINTS if pattern.search(stem)), None)
