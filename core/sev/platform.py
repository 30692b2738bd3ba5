# SPDX-License-Identifier: Apache-2.0
"""What a verified, or a knowingly unverified, platform is as a type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from ..errors import BadInput, VerificationRefused
from .advisories import Advisories
from .certificates import AmdCertificate, SevCertificate
from .chain import ChainReport, Link, PlatformCertificates, Root, RootKeys, examine_chain
from .chain_rules import pdh_public_key
from .proof import Mint, Proof
from .waiver import waiver_reason

_MINT: Final = Mint("watchword.core.sev.platform")


class Platform(Proof):
    """A platform whose PDH a session may be agreed with; see its three subclasses.

    ``pdh``         the 2084-byte PDH as parsed
    ``public_key``  its P-384 key
    ``report``      the verdicts of the chain, if one was examined
    """

    __slots__ = ("pdh", "public_key", "report")

    pdh: SevCertificate
    public_key: ec.EllipticCurvePublicKey
    report: ChainReport

    proven: bool = False
    """Whether the chain leads to AMD's root: only then may real secrets be sealed for it."""

    def __init__(self, mint: Mint, pdh: SevCertificate, report: ChainReport) -> None:
        _MINT.check(mint)
        self._establish(pdh=pdh, public_key=pdh_public_key(pdh), report=report)

    @property
    def waiver(self) -> str | None:
        """The typed reason to go on without a verified chain, if that is what was done."""
        return None

    @property
    def name(self) -> str:
        """How JSON output names the kind of platform."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{self.name} platform, PDH {self.report.pdh_sha256}>"


class VerifiedPlatform(Platform):
    """Every link of the chain holds, up to AMD's own root."""

    __slots__ = ()
    proven = True

    @property
    def name(self) -> str:
        """``verified``."""
        return "verified"


class ForeignRootPlatform(Platform):
    """Every link holds, up to a root that is not AMD's and that the owner named as trusted."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """``foreign-root``."""
        return "foreign-root"


class WaivedPlatform(Platform):
    """The owner went on without a verified chain, and typed why."""

    __slots__ = ("reason",)

    reason: str

    def __init__(self, mint: Mint, pdh: SevCertificate, report: ChainReport, reason: str) -> None:
        super().__init__(mint, pdh, report)
        self._establish(reason=reason)

    @property
    def waiver(self) -> str | None:
        """The typed reason."""
        return self.reason

    @property
    def name(self) -> str:
        """``waived``."""
        return "waived"


def chain_refused(report: ChainReport) -> VerificationRefused:
    """The error for a chain that does not hold, naming the link that matters most."""
    link = report.first_problem()
    return VerificationRefused(
        "chain-refused",
        "The platform's certificate chain does not hold",
        _describe(link) if link is not None else "The chain was not examined.",
        _remedy(link),
        report.as_json(),
    )


def _describe(link: Link) -> str:
    by = "itself" if link.certificate is link.signed_by else link.signed_by.name
    return f"{link.certificate.name} under {by}: {link.reason}."


def _remedy(link: Link | None) -> str:
    if link is not None and "no signature by AMD's ASK" in link.reason:
        return (
            "Have AMD's signed copy fetched (--fetch-cek), or give it: --cek FILE, or the chain"
            " that `sevctl export` on the host writes; AMD's key service has it by chip id."
        )
    if link is not None and link.verdict.value == "missing":
        return "Add the missing certificate; `sevctl export --full` on the host writes all of them."
    return (
        "Send no secret to this host. Ask for its certificates by another way and compare; a"
        " host that answers with a forged or mixed chain may be trying to get at your secret."
    )


def verify_chain(
    certificates: PlatformCertificates,
    roots: Sequence[RootKeys],
    advisories: Advisories,
    *,
    trusted_roots: Sequence[AmdCertificate] = (),
    oca_pin: str | None = None,
    cek_pins: Sequence[str] = (),
) -> Platform:
    """A platform whose chain holds: VerifiedPlatform, or ForeignRootPlatform under a named root.

    Raises VerificationRefused ``chain-refused`` whose details are the report.
    Warnings of the advisory table about the processor's generation join the report.
    """
    return judge_chain(
        certificates,
        roots,
        advisories,
        trusted_roots=trusted_roots,
        oca_pin=oca_pin,
        cek_pins=cek_pins,
        waiver=None,
    )


def judge_chain(
    certificates: PlatformCertificates,
    roots: Sequence[RootKeys],
    advisories: Advisories,
    *,
    trusted_roots: Sequence[AmdCertificate] = (),
    oca_pin: str | None = None,
    cek_pins: Sequence[str] = (),
    waiver: str | None,
) -> Platform:
    """As ``verify_chain``; a chain that does not hold gives a WaivedPlatform if there is a waiver.

    A waiver that nothing needs is not used: the platform is verified then.
    """
    report = examine_chain(
        certificates, roots, trusted_roots=trusted_roots, oca_pin=oca_pin, cek_pins=cek_pins
    )
    report = with_advisories(report, advisories)
    if waiver is not None and not report.ok:
        return waive_platform(certificates, report, waiver)
    if not report.ok or certificates.pdh is None:
        raise chain_refused(report)
    pdh = SevCertificate.parse(certificates.pdh, "PDH")
    kind = VerifiedPlatform if report.root is Root.AMD else ForeignRootPlatform
    return kind(_MINT, pdh, report)


def waive_platform(
    certificates: PlatformCertificates, report: ChainReport, reason: str
) -> WaivedPlatform:
    """A platform that the owner accepts although its chain does not hold.

    BadInput if there is no usable PDH: without it there is nothing to agree a session with.
    """
    if certificates.pdh is None:
        raise BadInput(
            "missing-pdh",
            "the PDH",
            "There is none: without it there is nothing to agree a session with, waiver or not.",
            "Add the PDH to the files: QEMU's query-sev-capabilities and sevctl export hold it.",
        )
    pdh = SevCertificate.parse(certificates.pdh, "PDH")
    return WaivedPlatform(_MINT, pdh, report, waiver_reason(reason, "platform"))


def with_advisories(report: ChainReport, advisories: Advisories) -> ChainReport:
    """The report with what is publicly known against this generation among its warnings."""
    known = tuple(
        f"{entry.name} ({entry.published}): {entry.summary}"
        for entry in advisories.for_generation(report.generation)
    )
    return report.with_warnings(known)
