# SPDX-License-Identifier: Apache-2.0
"""Puts the facts of a launch into the form of an in-toto Statement; signing adds the signer."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..sev.chain import ChainReport, PlatformCertificates
from ..sev.digest import VcpuSetup
from ..sev.firmware_version import FirmwareVersion
from ..sev.policy import Policy
from .document import (
    CERTIFICATE_NAMES,
    LONGEST_TEXT,
    MOST_DIGESTS,
    MOST_WARNINGS,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
)
from .facts import EvidenceFacts, LoadedContents, PlatformFacts

JsonObject = dict[str, Any]


def statement(facts: EvidenceFacts) -> JsonObject:
    """The statement of a launch as JSON values; ``sign_statement`` adds whose word it is."""
    predicate = _predicate(facts)
    return {
        "_type": STATEMENT_TYPE,
        "subject": subjects(predicate),
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }


def subjects(predicate: Mapping[str, Any]) -> list[JsonObject]:
    """What a statement is about: the firmware and the launch digest, or all approved digests.

    It follows from the predicate, so that nobody can put another subject over it.
    """
    contents, measurement = predicate["contents"], predicate["measurement"]
    if contents is None:
        named = [("approved-launch-digest", d) for d in predicate["approved"]["launch_digests"]]
    else:
        firmware = contents["firmware"]
        named = [("firmware", firmware["sha256"])] if firmware is not None else []
        matched = measurement is not None and measurement["matched"]
        name = "launch-digest" if matched else "approved-launch-digest"
        named.append((name, contents["launch_digest"]))
    return [{"name": name, "digest": {"sha256": digest}} for name, digest in named]


def _predicate(facts: EvidenceFacts) -> JsonObject:
    error, session, packet, report = facts.error, facts.session, facts.packet, facts.report
    return {
        "program": clean(facts.program),
        "simulated": facts.simulated,
        "technology": facts.technology,
        "outcome": facts.end.value,
        "error": None
        if error is None
        else {
            "code": error.code,
            "title": clean(error.title),
            "message": clean(error.message),
        },
        "launch": {
            "id": clean(facts.launch_id),
            "begun": _moment(facts.begun),
            "ended": _moment(facts.ended),
        },
        "guest": _optional(facts.guest),
        "profile": {"name": _optional(facts.profile_name), "sha256": facts.profile_sha256},
        "host": _optional(facts.host),
        "platform": _platform(facts.platform),
        "policy": {"value": facts.policy, "names": Policy(facts.policy).names()},
        "minimum": _version(facts.minimum),
        "processor": _version(facts.version),
        "approved": {
            "launch_digests": [digest.hex() for digest in facts.approved[:MOST_DIGESTS]],
            "count": len(facts.approved),
        },
        "contents": None if facts.contents is None else _contents(facts.contents),
        "measurement": None
        if facts.reported is None
        else {
            "value": facts.reported.measurement.hex(),
            "nonce": facts.reported.nonce.hex(),
            "matched": facts.matched,
        },
        "session": None
        if session is None
        else {
            "nonce": session.nonce.hex(),
            "godh_sha256": session.godh_sha256,
            "blob_sha256": session.blob_sha256,
        },
        "packet": None
        if packet is None
        else {"sha256": packet.sha256, "handed_over": packet.handed_over.value},
        "secrets": _secrets(facts),
        "report": None
        if report is None
        else {"data": _encoded(report.data), "nonce": report.nonce.hex()},
        "waivers": {step: clean(reason) for step, reason in facts.waivers.items()},
        "warnings": [clean(warning) for warning in facts.warnings[:MOST_WARNINGS]],
        "redaction": None,
    }


def _platform(platform: PlatformFacts) -> JsonObject:
    certificates, report = platform.certificates, platform.report
    return {
        "kind": platform.kind.value,
        **_verdicts(report),
        "chip_id": _hex_or_none(certificates.chip_id if certificates is not None else None),
        "oca_pin": platform.oca_pin,
        "cek_pins": list(platform.cek_pins),
        "certificates": None if certificates is None else _certificates(certificates),
    }


def _verdicts(report: ChainReport | None) -> JsonObject:
    names = ("generation", "pdh_sha256", "cek_sha256", "oca_sha256")
    return {
        "root": None if report is None else report.root.value,
        "links": [] if report is None else [link.as_json() for link in report.links],
        **{name: getattr(report, name, None) for name in names},
    }


def _certificates(certificates: PlatformCertificates) -> JsonObject:
    return {
        name: None if data is None else _encoded(data)
        for name, data in ((name, getattr(certificates, name)) for name in CERTIFICATE_NAMES)
    }


def _contents(contents: LoadedContents) -> JsonObject:
    hashes, firmware = contents.kernel_hashes, contents.firmware_sha256
    return {
        "launch_digest": contents.launch_digest.hex(),
        "firmware": None
        if firmware is None
        else {"sha256": firmware.hex(), "size": contents.firmware_size},
        "kernel_hashes": None
        if hashes is None
        else {
            "kernel": hashes.kernel.hex(),
            "initrd": hashes.initrd.hex(),
            "cmdline": hashes.cmdline.hex(),
        },
        "cmdline": contents.cmdline,
        "vcpus": None if contents.vcpus is None else _vcpus(contents.vcpus),
        "components": [component.as_json() for component in contents.components],
    }


def _vcpus(vcpus: VcpuSetup) -> JsonObject:
    return {
        "count": vcpus.count,
        "family": vcpus.cpu.family,
        "model": vcpus.cpu.model,
        "stepping": vcpus.cpu.stepping,
        "vmsa": vcpus.generation.value,
        "sev_features": hex(vcpus.sev_features),
    }


def _secrets(facts: EvidenceFacts) -> Sequence[JsonObject]:
    return [
        {
            "name": clean(secret.name),
            "guid": secret.guid.lower(),
            "entry": _optional(secret.entry),
            "size": secret.size,
            "test": secret.test,
        }
        for secret in facts.secrets
    ]


def _version(version: FirmwareVersion | None) -> JsonObject | None:
    if version is None:
        return None
    return {name: getattr(version, name) for name in ("api_major", "api_minor", "build")}


def _moment(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _hex_or_none(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


def _optional(text: str | None) -> str | None:
    return None if text is None else clean(text)


def clean(text: str) -> str:
    """A text that JSON can hold, cut where it is too long; hosts' words may be anything."""
    readable = text.encode("utf-8", "backslashreplace").decode()
    return readable if len(readable) <= LONGEST_TEXT else readable[: LONGEST_TEXT - 1] + "…"
