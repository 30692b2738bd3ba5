# SPDX-License-Identifier: Apache-2.0
"""Checks the certificates of a document anew, and what it recorded of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import BadInput
from ..sev.certificates import AmdCertificate, SevCertificate
from ..sev.chain import (
    ChainReport,
    Link,
    PlatformCertificates,
    Role,
    Root,
    RootKeys,
    Verdict,
    examine_chain,
)
from .document import PlatformSection, Predicate, shown
from .facts import LaunchEnd, PlatformKind
from .refusals import contradiction, untrusted_root, verdict_differs
from .verdict import Finding, owners_word, recomputed

_NEVER_WITHOUT_CERTIFICATES = (
    PlatformKind.VERIFIED,
    PlatformKind.FOREIGN_ROOT,
    PlatformKind.WAIVED,
)
_FINGERPRINTS = (("PDH", "pdh_sha256"), ("CEK", "cek_sha256"), ("OCA", "oca_sha256"))


@dataclass(frozen=True, slots=True)
class RecheckedChain:
    """The verdicts as they come out now.

    ``pek``      the platform's PEK, None where there is none that can be read
    ``vouched``  whether every link holds up to AMD's root, or one that the caller trusts
    """

    report: ChainReport | None
    pek: SevCertificate | None
    vouched: bool
    findings: tuple[Finding, ...]


def recheck_chain(
    predicate: Predicate, roots: Sequence[RootKeys], trusted_roots: Sequence[AmdCertificate]
) -> RecheckedChain:
    """Examine the chain as the owner did, and compare; then ask whether its root will do.

    Raises VerificationRefused ``evidence-verdict-differs``, ``evidence-contradiction`` or
    ``untrusted-root``, and BadInput ``bad-evidence`` for base64 that is none.
    """
    platform = predicate.platform
    if platform.certificates is None:
        return _without_certificates(predicate)
    certificates = platform.certificates.load()
    report = examine_chain(
        certificates,
        roots,
        trusted_roots=_roots_of_the_owner(platform, certificates),
        oca_pin=platform.oca_pin,
        cek_pins=platform.cek_pins,
    )
    _compare(platform, report)
    _check_kind(predicate, report)
    if report.ok and report.root is not Root.AMD:
        _check_trusted(certificates, trusted_roots)
    findings = (*_links(report), *_particulars(platform, report))
    return RecheckedChain(report, _readable_pek(certificates), report.ok, findings)


def _without_certificates(predicate: Predicate) -> RecheckedChain:
    platform = predicate.platform
    recorded = (platform.links, platform.root, platform.generation, platform.pdh_sha256)
    if platform.kind in _NEVER_WITHOUT_CERTIFICATES or any(recorded):
        raise contradiction(
            f"It says that the platform is “{platform.kind.value}”, and has no certificates of it."
        )
    text = (
        "Its chain was refused; the certificates are not in the document."
        if platform.kind is PlatformKind.REFUSED
        else "Nobody checked here which platform it was: there are no certificates."
    )
    return RecheckedChain(None, None, False, (owners_word("platform", text),))


def _roots_of_the_owner(
    platform: PlatformSection, certificates: PlatformCertificates
) -> tuple[AmdCertificate, ...]:
    """The root that the owner trusted: without it his verdict can't be had again."""
    held = any(
        (link.certificate, link.verdict) == (Role.ARK.value, Verdict.OK.value)
        for link in platform.links
    )
    if platform.root != Root.NOT_AMD.value or not held or certificates.ark is None:
        return ()
    try:
        return (AmdCertificate.parse(certificates.ark, "ARK"),)
    except BadInput:
        return ()


def _compare(platform: PlatformSection, report: ChainReport) -> None:
    recorded = [(link.certificate, link.signed_by, link.verdict) for link in platform.links]
    found = [
        (link.certificate.value, link.signed_by.value, link.verdict.value) for link in report.links
    ]
    if [pair[:2] for pair in recorded] != [pair[:2] for pair in found]:
        raise verdict_differs("the links", f"{len(recorded)} links", f"{len(found)} other ones")
    for (role, signer, old), (_, _, new) in zip(recorded, found, strict=True):
        if old != new:
            raise verdict_differs(f"{role.upper()} under {signer.upper()}", old, new)
    for name in ("root", "generation", "pdh_sha256", "cek_sha256", "oca_sha256"):
        old, new = getattr(platform, name), getattr(report, name)
        if old != new:
            raise verdict_differs(name.replace("_", " "), old, new)


def _check_kind(predicate: Predicate, report: ChainReport) -> None:
    kind = predicate.platform.kind
    if kind is PlatformKind.REFUSED:
        if predicate.outcome not in (LaunchEnd.REFUSED, LaunchEnd.ABANDONED):
            raise contradiction("It says that the platform was refused, and the launch went on.")
        return
    if report.ok:
        due = PlatformKind.VERIFIED if report.root is Root.AMD else PlatformKind.FOREIGN_ROOT
    else:
        due = PlatformKind.WAIVED
    if kind is not due:
        raise verdict_differs("the platform", kind.value, due.value)
    if (kind is PlatformKind.WAIVED) != ("platform" in predicate.waivers):
        raise contradiction(
            "A platform is waived if and only if there is a reason for it in the waivers."
        )


def _check_trusted(
    certificates: PlatformCertificates, trusted_roots: Sequence[AmdCertificate]
) -> None:
    ark = AmdCertificate.parse(certificates.ark or b"", "ARK")
    if not any(ark.same_body(root) for root in trusted_roots):
        raise untrusted_root(ark.fingerprint())


def _readable_pek(certificates: PlatformCertificates) -> SevCertificate | None:
    try:
        return SevCertificate.parse(certificates.pek or b"", "PEK")
    except BadInput:
        return None


# -- in words ------------------------------------------------------------------------


def _links(report: ChainReport) -> Iterator[Finding]:
    yield recomputed("platform", _verdict(report))
    for link in report.links:
        yield recomputed("chain", f"{_pair(link)}: {link.verdict.value}; {link.reason}")


def _verdict(report: ChainReport) -> str:
    if not report.ok:
        return "The certificate chain does NOT hold."
    if report.root is Root.AMD:
        return f"The certificate chain holds, up to AMD's {report.generation} root."
    return "The certificate chain holds, up to a root that is NOT AMD's and that you trust."


def _pair(link: Link) -> str:
    own = link.certificate is link.signed_by
    return f"{link.certificate.name} under {'itself' if own else link.signed_by.name}"


def _particulars(platform: PlatformSection, report: ChainReport) -> Iterator[Finding]:
    for name, attribute in _FINGERPRINTS:
        value = getattr(report, attribute)
        if value is not None:
            yield recomputed(f"{name} fingerprint", value)
    if platform.oca_pin is not None:
        yield recomputed("pinned owner CA", platform.oca_pin)
    if platform.cek_pins:
        count = len(platform.cek_pins)
        yield recomputed("pinned chips", f"the CEK had to be one of {count} that were allowed")
    if platform.chip_id is not None:
        yield owners_word("chip id, as the host said", shown(platform.chip_id))
