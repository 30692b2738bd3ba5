# SPDX-License-Identifier: Apache-2.0
"""The facts for a document, from a launch as it ended and the plan that it followed."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache

from ..base64_text import decode_base64
from ..errors import WatchwordError
from ..evidence.facts import (
    EvidenceFacts,
    HandedOver,
    LaunchEnd,
    LoadedContents,
    PacketFacts,
    PlatformFacts,
    PlatformKind,
    RefusalFacts,
    ReleasedSecret,
    SessionFacts,
    SignedReport,
)
from ..sev.certificates import AmdCertificate
from ..sev.chain import PlatformCertificates, Role, RootKeys, Verdict, examine_chain
from ..sev.diagnosis_question import ApprovedContents
from ..sev.firmware_version import FirmwareVersion
from ..sev.measurement import ReportedMeasurement
from ..sev.platform import with_advisories
from ..sev.session import LaunchMaterial
from .contents_of import loaded_contents
from .engine import Launch
from .sev_plan import SevPlan

_VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,3}) build ([0-9]{1,3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchReport:
    """What is to be told of a launch beside what the launch itself records.

    ``certificates``  those that were judged; else the record's, which lack the host's own
    CEK and all of a refused platform's
    ``entries``       the vault's names of the secrets, by GUID in small letters
    ``handed_over``   whether the packet may have reached the host; None: if its step is done
    ``packet_sha256`` of the sealed packet (hex), and ``secrets``, the notes on what is in it,
    where its step is not done
    ``material``      what the host was given, where the session's record lacks its hashes
    ``launch_digest`` the one that matched (32 bytes), where the measurement's record lacks it
    ``matched``       the measurement that was verified, and the version inside it; None: as its
    step has it. After sealing a host may say what it likes: this is what the packet is for
    ``cmdlines``      the approved command lines as text
    """

    end: LaunchEnd
    begun: datetime
    ended: datetime
    error: WatchwordError | None = None
    certificates: PlatformCertificates | None = None
    guest: str | None = None
    profile_name: str | None = None
    profile_sha256: str | None = None
    host: str | None = None
    entries: Mapping[str, str] = field(default_factory=dict)
    handed_over: HandedOver | None = None
    packet_sha256: str | None = None
    secrets: Sequence[Mapping[str, object]] = ()
    material: LaunchMaterial | None = None
    launch_digest: bytes | None = None
    matched: tuple[ReportedMeasurement, FirmwareVersion] | None = None
    cmdlines: tuple[str, ...] = ()


def evidence_facts(
    launch: Launch, plan: SevPlan, report: LaunchReport, roots: Sequence[RootKeys]
) -> EvidenceFacts:
    """All that the document of this launch says; ``roots`` are AMD's keys.

    Only what the launch's steps recorded is repeated; the chain's verdicts are made anew
    from the certificates.
    """
    records = {name: fact.record for name, fact in launch.facts.items()}
    measurement, error = records.get("measurement", {}), report.error
    policy = plan.policy.policy
    minimum_api, build = plan.requirements.minimum_api, plan.requirements.minimum_build
    return EvidenceFacts(
        launch_id=launch.id,
        technology="sev-es" if policy.needs_es else "sev",
        end=report.end,
        begun=report.begun,
        ended=report.ended,
        program=program(),
        policy=policy.value,
        platform=_platform(records.get("platform"), plan, report, roots),
        simulated=launch.simulated,
        error=None if error is None else _refusal(error),
        guest=report.guest,
        profile_name=report.profile_name,
        profile_sha256=report.profile_sha256,
        host=report.host or _text(records.get("start", {}).get("host")),
        minimum=FirmwareVersion(*minimum_api, build),
        version=_version(measurement, error) if report.matched is None else report.matched[1],
        approved=tuple(digest.value for digest in plan.digests),
        contents=_contents(_matched(measurement, report), plan, report),
        reported=_reported(measurement, error) if report.matched is None else report.matched[0],
        matched=bool(measurement) or report.matched is not None,
        session=_session(records.get("session", {}), report.material),
        packet=_packet(records.get("secret", {}), report),
        secrets=tuple(_secrets(records.get("secret", {}), report)),
        report=_signed_report(records.get("run", {})),
        waivers=_waivers(launch),
        warnings=tuple(_warnings(records)),
    )


def _waivers(launch: Launch) -> dict[str, str]:
    """The typed reasons by what was waived; the step of the guest tells of two things."""
    told: dict[str, str] = {}
    for step, reason in launch.waivers.items():
        named = launch.facts[step].record.get("waivers")
        if step != "guest":
            told[step] = reason
        elif isinstance(named, Mapping):
            told.update({str(what): str(why) for what, why in named.items()})
        else:
            told["policy"] = reason
    return told


@cache
def program() -> str:
    """The program's name and version."""
    # It costs as much as everything else that a plain command imports.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return f"watchword {version('watchword')}"
    except PackageNotFoundError:
        return "watchword (not installed)"


def _refusal(error: WatchwordError) -> RefusalFacts:
    return RefusalFacts(code=error.code, title=error.title, message=error.message)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


# -- the platform ----------------------------------------------------------------------


def _platform(
    record: Mapping[str, object] | None,
    plan: SevPlan,
    report: LaunchReport,
    roots: Sequence[RootKeys],
) -> PlatformFacts:
    certificates = report.certificates or _recorded_certificates(record)
    kind = _kind(record, report, certificates)
    if certificates is None or kind is PlatformKind.NOT_CHECKED:
        return PlatformFacts(kind=kind)
    whole = complete_chain(certificates, roots, plan.trusted_roots)
    chain = examine_chain(
        whole,
        roots,
        trusted_roots=plan.trusted_roots,
        oca_pin=plan.oca_pin,
        cek_pins=plan.cek_pins,
    )
    return PlatformFacts(
        kind=kind,
        certificates=whole,
        report=with_advisories(chain, plan.requirements.advisories),
        oca_pin=plan.oca_pin,
        cek_pins=plan.cek_pins,
    )


def _kind(
    record: Mapping[str, object] | None,
    report: LaunchReport,
    certificates: PlatformCertificates | None,
) -> PlatformKind:
    if record is not None:
        return PlatformKind(str(record["platform"]))
    refused = report.error is not None and report.error.code == "chain-refused"
    if refused or certificates is not None:
        return PlatformKind.REFUSED
    return PlatformKind.NOT_CHECKED


def _recorded_certificates(record: Mapping[str, object] | None) -> PlatformCertificates | None:
    """The certificates of the platform's record, which holds them in base64."""
    given = {} if record is None else record.get("certificates")
    if not isinstance(given, dict) or not given:
        return None
    loaded = {role: base64.b64decode(text) for role, text in given.items()}
    chip = _text((record or {}).get("chip_id"))
    return PlatformCertificates(**loaded, chip_id=None if chip is None else bytes.fromhex(chip))


def complete_chain(
    certificates: PlatformCertificates,
    roots: Sequence[RootKeys],
    trusted_roots: Sequence[AmdCertificate],
) -> PlatformCertificates:
    """The chain with the ASK and ARK that were taken for it, where it came without them.

    Whoever checks the document later needs every certificate.
    """
    for ask, ark in _candidates(certificates, roots, trusted_roots):
        whole = replace(
            certificates, ask=certificates.ask or ask, ark=certificates.ark or ark.build()
        )
        links = examine_chain(whole, roots, trusted_roots=trusted_roots).links
        upper = [link for link in links if link.certificate in (Role.ARK, Role.ASK, Role.CEK)]
        if all(link.verdict is Verdict.OK for link in upper):
            return whole
    return certificates


def _candidates(
    certificates: PlatformCertificates,
    roots: Sequence[RootKeys],
    trusted_roots: Sequence[AmdCertificate],
) -> Iterator[tuple[bytes | None, AmdCertificate]]:
    if certificates.ask is not None and certificates.ark is not None:
        return
    for keys in roots:
        yield keys.ask.build(), keys.ark
    for ark in trusted_roots:
        yield None, ark


# -- what was loaded and measured ------------------------------------------------------


def _matched(measurement: Mapping[str, object], report: LaunchReport) -> bytes | None:
    """The approved digest that the measurement was of; not always known after a crash."""
    digest = _text(measurement.get("launch_digest"))
    return report.launch_digest if digest is None else bytes.fromhex(digest)


def _contents(matched: bytes | None, plan: SevPlan, report: LaunchReport) -> LoadedContents | None:
    """What the digest that matched is made of, or the only approved one."""
    sought = plan.digests[0].value if matched is None and len(plan.digests) == 1 else matched
    digest = next((digest for digest in plan.digests if digest.value == sought), None)
    if digest is None:
        return None
    boots = [approved.boot for approved in plan.approved if isinstance(approved, ApprovedContents)]
    known = [boot.cmdline for boot in boots if boot is not None and isinstance(boot.cmdline, str)]
    return loaded_contents(digest, (*known, *report.cmdlines))


def _version(
    measurement: Mapping[str, object], error: WatchwordError | None
) -> FirmwareVersion | None:
    if measurement:
        numbers = (measurement[name] for name in ("api_major", "api_minor", "build"))
        return FirmwareVersion(*(int(str(number)) for number in numbers))
    said = _text(error.details.get("firmware")) if error is not None else None
    match = _VERSION.fullmatch(said or "")
    if match is None or any(int(number) > 255 for number in match.groups()):
        return None
    return FirmwareVersion(*map(int, match.groups()))


def _reported(
    measurement: Mapping[str, object], error: WatchwordError | None
) -> ReportedMeasurement | None:
    """What the host reported, from the step's record or from the refusal's details."""
    if measurement:
        value, nonce = measurement["measurement"], measurement["nonce"]
    elif error is not None:
        value, nonce = error.details.get("reported"), error.details.get("nonce")
    else:
        return None
    if not isinstance(value, str) or not isinstance(nonce, str):
        return None
    return ReportedMeasurement(bytes.fromhex(value), bytes.fromhex(nonce))


# -- session, packet, report -----------------------------------------------------------


def _session(record: Mapping[str, object], material: LaunchMaterial | None) -> SessionFacts | None:
    if "godh_sha256" in record:
        return SessionFacts(
            nonce=bytes.fromhex(str(record["nonce"])),
            godh_sha256=str(record["godh_sha256"]),
            blob_sha256=str(record["blob_sha256"]),
        )
    if material is None:
        return None
    return SessionFacts(
        nonce=material.blob.nonce,
        godh_sha256=hashlib.sha256(material.godh.build()).hexdigest(),
        blob_sha256=hashlib.sha256(material.blob.build()).hexdigest(),
    )


def _packet(record: Mapping[str, object], report: LaunchReport) -> PacketFacts | None:
    sealed = report.packet_sha256 or _text(record.get("packet_sha256"))
    if sealed is None:
        return None
    injected = HandedOver.YES if "packet_sha256" in record else HandedOver.NO
    return PacketFacts(sha256=sealed, handed_over=report.handed_over or injected)


def _secrets(record: Mapping[str, object], report: LaunchReport) -> Iterator[ReleasedSecret]:
    notes = record.get("secrets", report.secrets)
    for note in notes if isinstance(notes, (list, tuple)) else ():
        guid = str(note["guid"]).lower()
        yield ReleasedSecret(
            name=str(note["name"]),
            guid=guid,
            entry=_text(note.get("entry")) or report.entries.get(guid),
            size=int(note["size"]),
            test=bool(note["test"]),
        )


def _signed_report(record: Mapping[str, object]) -> SignedReport | None:
    """The report of the running guest; where there is none, its place has the reason."""
    data, nonce = _text(record.get("report")), _text(record.get("report_nonce"))
    if data is None or nonce is None:
        return None
    return SignedReport(data=decode_base64(data, "report", 208), nonce=bytes.fromhex(nonce))


def _warnings(records: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    for step in ("guest", "platform"):
        warnings = records.get(step, {}).get("warnings")
        for warning in warnings if isinstance(warnings, (list, tuple)) else ():
            yield str(warning)
