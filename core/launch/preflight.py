# SPDX-License-Identifier: Apache-2.0
"""Looks a host over before a launch: what it shows, and what will most likely go wrong on it.

All of it is advice. The host may show what it likes; what counts is verified in the launch.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..errors import BadInput, HostError, WatchwordError
from ..hosts.protocol import (
    GuestState,
    Host,
    NodeAnswer,
    NodeTeller,
    PlatformAnswer,
    SevState,
    Technology,
)
from ..sev.advisories import Advisories
from ..sev.certificates import AmdCertificate, SevCertificate
from ..sev.chain import ChainReport, Root, RootKeys, Verdict, examine_chain
from ..sev.chain_files import recognise
from ..sev.firmware_version import FirmwareVersion
from ..sev.policy import OLDEST_SAFE_API
from .host_certificates import read_host_certificates
from .sev_plan import MoreCertificates


class Standing(StrEnum):
    """What a finding means for a launch."""

    GOOD = "good"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about the host, in a sentence; ``remedy`` is empty where nothing is to be done.

    ``about`` is one of: reach, chip-id, chain, generation, firmware, pdh, guest, node.
    """

    about: str
    standing: Standing
    sentence: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """The finding with stable field names."""
        return {
            "about": self.about,
            "standing": self.standing.value,
            "sentence": self.sentence,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class Expectations:
    """What a host is held against.

    ``session_pdh``  the PDH certificate (2084 bytes) that a prepared launch's blob is for
    ``ceks``         fingerprints (hex) of the CEKs that a profile allows; none: any
    ``trusted_roots``  ARKs beside AMD's that the owner names as trusted
    """

    roots: tuple[RootKeys, ...]
    advisories: Advisories
    more_certificates: MoreCertificates
    session_pdh: bytes | None = None
    ceks: Sequence[str] = ()
    trusted_roots: Sequence[AmdCertificate] = ()


@dataclass(frozen=True, slots=True)
class Preflight:
    """All findings about one host."""

    host: str
    findings: tuple[Finding, ...]

    @property
    def hopeful(self) -> bool:
        """Whether nothing was found that would keep a launch from succeeding."""
        return all(finding.standing is not Standing.PROBLEM for finding in self.findings)

    def as_json(self) -> dict[str, object]:
        """The findings with stable field names."""
        return {
            "host": self.host,
            "hopeful": self.hopeful,
            "findings": [finding.as_json() for finding in self.findings],
        }


async def look_over(host: Host, expected: Expectations) -> Preflight:
    """Ask the host what it shows of itself, and judge it. Host errors become findings."""
    findings: list[Finding] = []
    try:
        answer = await host.platform()
    except HostError as error:
        findings.append(_problem("reach", error))
    else:
        findings += [_reached(host.url), _chip_id(answer)]
        findings += await _chain(answer, expected)
    findings += await _guest(host, expected.advisories)
    findings += await _node(host)
    return Preflight(host.url, tuple(findings))


def _reached(url: str) -> Finding:
    return Finding("reach", Standing.GOOD, f"{url} answers, and has a secure processor.")


def _problem(about: str, error: WatchwordError) -> Finding:
    return Finding(about, Standing.PROBLEM, f"{error.title}. {error.message}", error.remedy)


def _chip_id(answer: PlatformAnswer) -> Finding:
    if answer.cpu_id is not None:
        return Finding("chip-id", Standing.GOOD, "The host names its chip.")
    return Finding(
        "chip-id",
        Standing.WARNING,
        "The host doesn't name its chip (QEMU before 7.1), so AMD's copy of its CEK can't be"
        " looked up.",
        "Have the operator run `sevctl show identifier` or `sevctl export --full`, and give"
        " what it prints by --cek or --platform.",
    )


async def _chain(answer: PlatformAnswer, expected: Expectations) -> list[Finding]:
    try:
        files = read_host_certificates(answer.pdh, answer.cert_chain)
        so_far = recognise(files).certificates
        files += await expected.more_certificates(answer.cpu_id, so_far)
        certificates = recognise(files).certificates
    except (BadInput, HostError) as error:
        return [_problem("chain", error)]
    report = examine_chain(certificates, expected.roots, trusted_roots=expected.trusted_roots)
    findings = [_chain_verdict(report), *_generation(report, expected)]
    if certificates.pdh is not None:
        findings += _firmware_of_pdh(certificates.pdh)
        findings += _pdh_age(certificates.pdh, expected.session_pdh)
    return findings


def _chain_verdict(report: ChainReport) -> Finding:
    problem = report.first_problem()
    if problem is None and report.root is not Root.AMD:
        sentence = "The certificates hold, up to a root that is NOT AMD's and that you trusted."
        return Finding("chain", Standing.WARNING, sentence)
    if problem is None:
        return Finding("chain", Standing.GOOD, "The certificates hold, up to AMD's root.")
    standing = Standing.UNKNOWN if problem.verdict is Verdict.MISSING else Standing.PROBLEM
    return Finding(
        "chain",
        standing,
        f"{problem.certificate.name} under {problem.signed_by.name}: {problem.reason}",
        "Get AMD's signed copy of the CEK: --fetch-cek or --cek FILE.",
    )


def _generation(report: ChainReport, expected: Expectations) -> Iterator[Finding]:
    for entry in expected.advisories.for_generation(report.generation):
        yield Finding(
            "generation",
            Standing.WARNING,
            f"{report.generation}: {entry.summary} ({entry.name}, {entry.published}).",
            "Launch only on a machine that you know, and pin its CEK in the profile.",
        )
    if expected.ceks and report.cek_sha256 not in expected.ceks:
        yield Finding(
            "generation",
            Standing.PROBLEM,
            f"The profile doesn't allow this machine: its CEK is {report.cek_sha256}.",
            "Launch on a machine that the profile names, or add this one to it.",
        )


def _firmware_of_pdh(pdh: bytes) -> Iterator[Finding]:
    try:
        certificate = SevCertificate.parse(pdh)
    except BadInput:
        return  # the chain says so already
    api = (certificate.api_major, certificate.api_minor)
    shown = f"{api[0]}.{api[1]}"
    if api < OLDEST_SAFE_API:
        yield Finding(
            "firmware",
            Standing.PROBLEM,
            f"The PDH was made by firmware with API {shown}, under which a sealed secret isn't"
            " bound to the measured VM.",
            "Have the operator update the secure processor's firmware.",
        )
    else:
        yield Finding(
            "firmware",
            Standing.UNKNOWN,
            f"The PDH was made by firmware with API {shown}; which one runs now, and its build,"
            " is known when a VM is started.",
        )


def _pdh_age(pdh: bytes, session_pdh: bytes | None) -> Iterator[Finding]:
    if session_pdh is None:
        return
    if hmac.compare_digest(hashlib.sha256(pdh).digest(), hashlib.sha256(session_pdh).digest()):
        sentence = "The PDH is the one that the launch was prepared for."
        yield Finding("pdh", Standing.GOOD, sentence)
        return
    yield Finding(
        "pdh",
        Standing.PROBLEM,
        "The host's PDH was regenerated since the launch was prepared, by a reset or an update"
        " of its secure processor, or this is another machine: the launch blob is for the old"
        " PDH, and the VM will not start with it (fw_error 11, or 22).",
        "Abandon that launch and prepare a new one on this host.",
    )


async def _guest(host: Host, advisories: Advisories) -> list[Finding]:
    """What a started SEV guest shows; a monitor without one is no problem before a launch."""
    try:
        state = await host.state()
    except HostError:
        return [Finding("guest", Standing.UNKNOWN, "No SEV guest is started there yet.")]
    version = FirmwareVersion(state.api_major, state.api_minor, state.build)
    findings = [_running_firmware(version)]
    findings += [
        Finding("firmware", Standing.PROBLEM, f"{version}: {entry.summary} ({entry.name}).")
        for entry in advisories.for_build(version)
    ]
    return [*findings, _guest_state(state)]


def _running_firmware(version: FirmwareVersion) -> Finding:
    if version.api < OLDEST_SAFE_API:
        return Finding(
            "firmware",
            Standing.PROBLEM,
            f"The running firmware is {version}: too old to bind a secret to the measured VM.",
            "Have the operator update the secure processor's firmware.",
        )
    return Finding("firmware", Standing.GOOD, f"The running firmware is {version}, the host says.")


def _guest_state(state: GuestState) -> Finding:
    kind = "SEV-ES" if state.encrypted_state else "SEV"
    if state.technology is not Technology.SEV:
        return Finding("guest", Standing.PROBLEM, "The guest is an SEV-SNP guest.")
    if state.state is SevState.LAUNCH_SECRET and state.paused:
        return Finding("guest", Standing.GOOD, f"An {kind} guest is paused, ready to be measured.")
    how = "paused" if state.paused else "running"
    sentence = f"An {kind} guest is {how}, in the state {state.state.value}: too late for a secret."
    return Finding("guest", Standing.WARNING, sentence, "Have the VM started anew, paused.")


async def _node(host: Host) -> list[Finding]:
    if not isinstance(host, NodeTeller):
        sentence = "QEMU's monitor doesn't tell how many encrypted guests fit, or of SEV-SNP."
        return [Finding("node", Standing.UNKNOWN, sentence)]
    try:
        return [_node_verdict(await host.node())]
    except HostError as error:
        return [_problem("node", error)]


def _node_verdict(node: NodeAnswer) -> Finding:
    parts = [
        f"SEV guests at most: {_number(node.sev_guests)}",
        f"SEV-ES guests at most: {_number(node.sev_es_guests)}",
        "SEV-SNP: " + {True: "yes", False: "no", None: "not told"}[node.sev_snp],
    ]
    sentence = f"The host says of itself: {', '.join(parts)}."
    if node.sev_guests == 0:
        remedy = "Have the operator turn SEV on in the machine's set-up and in the kernel."
        return Finding("node", Standing.PROBLEM, sentence, remedy)
    if node.sev_es_guests == 0:
        remedy = "A policy with SEV-ES can't start: have min_sev_asid raised in the set-up."
        return Finding("node", Standing.WARNING, sentence, remedy)
    return Finding("node", Standing.GOOD, sentence)


def _number(value: int | None) -> str:
    return "not told" if value is None else str(value)
