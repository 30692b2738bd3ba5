# SPDX-License-Identifier: Apache-2.0
"""The certificate chain of a platform: a verdict for each link, and what may be trusted then.

PDH <- PEK <- OCA and CEK, CEK <- ASK <- ARK. The root is compared by key, never
by the ids that it carries: whoever makes his own root copies those.
Source: AMD SEV API specification, chapter 2.1 and appendix C.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from ..errors import BadInput
from .certificates import SEV_SIGNED_SIZE, SIGNATURE_SIZE, AmdCertificate, SevCertificate, Usage
from .chain_rules import (
    UNSIGNED_CEK,
    amd_signature_problem,
    ark_problem,
    ask_problem,
    cek_problem,
    ecdsa_link_problem,
    has_stray_bytes,
    pdh_public_key,
)
from .signatures import slot_of


class Role(StrEnum):
    """A certificate's place in the chain."""

    ARK = "ark"
    ASK = "ask"
    CEK = "cek"
    OCA = "oca"
    PEK = "pek"
    PDH = "pdh"


_SIGNERS: Final = {
    Role.CEK: (Usage.ASK,),
    Role.OCA: (Usage.OCA,),
    Role.PEK: (Usage.OCA, Usage.CEK),
    Role.PDH: (Usage.PEK,),
}
"""Whose signatures the links of a chain read in each certificate."""


class Verdict(StrEnum):
    """What came of checking one link."""

    OK = "ok"
    FAILED = "failed"
    MISSING = "missing"
    SKIPPED = "skipped"


class Root(StrEnum):
    """Whose key the chain ends in."""

    AMD = "amd"
    NOT_AMD = "not-amd"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Link:
    """One signature of the chain: who carries it, whose it is, what came of checking it."""

    certificate: Role
    signed_by: Role
    verdict: Verdict
    reason: str

    def as_json(self) -> dict[str, str]:
        """The link with stable field names."""
        return {
            "certificate": self.certificate.value,
            "signed_by": self.signed_by.value,
            "verdict": self.verdict.value,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class RootKeys:
    """AMD's ARK and ASK of one processor generation."""

    generation: str
    ark: AmdCertificate
    ask: AmdCertificate


@dataclass(frozen=True, slots=True)
class PlatformCertificates:
    """A platform's certificates as bytes, unjudged; None for what was not given.

    ``cek`` is AMD's signed copy where there is one; ``cek_from_host`` what the host
    handed out (unsigned) if that is another file. ``ask`` and ``ark`` may be left
    out: AMD's are known.
    """

    pdh: bytes | None = None
    pek: bytes | None = None
    oca: bytes | None = None
    cek: bytes | None = None
    ask: bytes | None = None
    ark: bytes | None = None
    cek_from_host: bytes | None = None
    chip_id: bytes | None = None

    def by_role(self) -> dict[Role, bytes | None]:
        """The certificates from root to leaf."""
        return {role: getattr(self, role.value) for role in Role}


@dataclass(frozen=True, slots=True)
class ChainReport:
    """All links with their verdicts, and what the chain is about.

    ``generation``    AMD's processor generation, None where the root is not AMD's
    ``pdh_sha256``    SHA-256 (hex) of the 2084-byte PDH, None if there is none
    ``cek_sha256``    fingerprint of the CEK's signed 0x414 bytes
    ``root``          not-amd with ``ok`` means: trusted because the owner named that root
    """

    links: tuple[Link, ...]
    root: Root
    generation: str | None
    pdh_sha256: str | None
    cek_sha256: str | None
    oca_sha256: str | None
    chip_id: str | None
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every link holds; never so for a chain without links."""
        return bool(self.links) and all(link.verdict is Verdict.OK for link in self.links)

    def with_warnings(self, more: tuple[str, ...]) -> ChainReport:
        """The same report with more warnings."""
        return replace(self, warnings=self.warnings + more)

    def first_problem(self) -> Link | None:
        """The link nearest to the root that does not hold; failed before missing ones."""
        order = (Verdict.FAILED, Verdict.MISSING, Verdict.SKIPPED)
        bad = [link for link in self.links if link.verdict is not Verdict.OK]
        return min(bad, key=lambda link: order.index(link.verdict), default=None)

    def as_json(self) -> dict[str, object]:
        """The report with stable field names."""
        return {
            "ok": self.ok,
            "generation": self.generation,
            "root": self.root.value,
            "links": [link.as_json() for link in self.links],
            "pdh_sha256": self.pdh_sha256,
            "cek_sha256": self.cek_sha256,
            "oca_sha256": self.oca_sha256,
            "chip_id": self.chip_id,
            "warnings": list(self.warnings),
        }


class _Examination:
    """One pass over a chain; collects links and warnings."""

    def __init__(
        self,
        certificates: PlatformCertificates,
        roots: Sequence[RootKeys],
        trusted: Sequence[AmdCertificate],
        oca_pin: str | None,
        cek_pins: Sequence[str],
    ) -> None:
        self.given = certificates
        self.roots = roots
        self.trusted = {certificate.fingerprint(): certificate for certificate in trusted}
        self.oca_pin = oca_pin
        self.cek_pins = cek_pins
        self.links: list[Link] = []
        self.warnings: list[str] = []
        self.unreadable: dict[Role, str] = {}
        self.sev: dict[Role, SevCertificate] = {}
        self.amd: dict[Role, AmdCertificate] = {}
        self.root_keys: RootKeys | None = None

    def run(self) -> ChainReport:
        self._parse_all()
        self._supply_ask_and_ark()
        root = self._check_ark()
        self._check_ask()
        self._check_cek()
        self._check_cek_pins()
        self._check_ecdsa_link(Role.OCA, Role.OCA)
        self._check_oca_pin()
        self._check_ecdsa_link(Role.PEK, Role.OCA)
        self._check_ecdsa_link(Role.PEK, Role.CEK)
        self._check_ecdsa_link(Role.PDH, Role.PEK)
        self._check_pdh_key()
        self._warn_of_stray_bytes()
        return self._report(root)

    # -- reading ---------------------------------------------------------------

    def _parse_all(self) -> None:
        for role, data in self.given.by_role().items():
            if data is None:
                continue
            try:
                if role in (Role.ARK, Role.ASK):
                    self.amd[role] = AmdCertificate.parse(data, role.name)
                else:
                    self.sev[role] = SevCertificate.parse(data, role.name)
            except BadInput as error:
                self.unreadable[role] = error.message

    def _supply_ask_and_ark(self) -> None:
        """Take AMD's own ASK and ARK where the chain came without them."""
        for keys in self.roots:
            if self._absent(Role.ASK) and self._ask_fits(keys.ask):
                self.amd[Role.ASK] = keys.ask
            ask = self.amd.get(Role.ASK)
            if (
                self._absent(Role.ARK)
                and ask is not None
                and amd_signature_problem(ask, keys.ark) is None
            ):
                self.amd[Role.ARK] = keys.ark
        if self._absent(Role.ARK) and Role.ASK in self.amd:
            for ark in self.trusted.values():
                if amd_signature_problem(self.amd[Role.ASK], ark) is None:
                    self.amd[Role.ARK] = ark

    def _absent(self, role: Role) -> bool:
        return role not in self.amd and role not in self.unreadable

    def _ask_fits(self, ask: AmdCertificate) -> bool:
        cek = self.sev.get(Role.CEK)
        return cek is not None and cek_problem(cek, ask) is None

    # -- links -----------------------------------------------------------------

    def _add(self, role: Role, signer: Role, problem: str | None, good: str) -> None:
        verdict = Verdict.OK if problem is None else Verdict.FAILED
        self.links.append(Link(role, signer, verdict, good if problem is None else problem))

    def _can_check(self, role: Role, signer: Role) -> bool:
        """Record missing, unreadable and skipped links; say whether there is something to check."""
        if role in self.unreadable:
            self.links.append(Link(role, signer, Verdict.FAILED, self.unreadable[role]))
        elif role not in self.sev and role not in self.amd:
            self.links.append(Link(role, signer, Verdict.MISSING, self._why_missing(role)))
        elif signer not in self.sev and signer not in self.amd:
            reason = f"not checked: there is no usable {signer.name} to check it with"
            self.links.append(Link(role, signer, Verdict.SKIPPED, reason))
        else:
            return True
        return False

    def _why_missing(self, role: Role) -> str:
        if role is Role.CEK:
            return "the CEK is missing: it stands in the host's certificate chain"
        if role is Role.ARK and Role.ASK not in self.amd:
            return "not known, because the ASK is missing: none of AMD's fits, and none was given"
        if role in (Role.ASK, Role.ARK):
            return f"no {role.name} of AMD's fits this chain, and none was given"
        return f"the {role.name} is missing"

    def _check_ark(self) -> Root:
        if not self._can_check(Role.ARK, Role.ARK):
            return Root.UNKNOWN
        ark = self.amd[Role.ARK]
        keys = self.root_keys = self._amd_keys(ark)
        if keys is not None:
            self._add(Role.ARK, Role.ARK, ark_problem(ark, keys.ark), "AMD's own root key")
            return Root.AMD
        if ark.fingerprint() in self.trusted:
            self._add(
                Role.ARK, Role.ARK, ark_problem(ark, None), "a root that you named as trusted"
            )
            self.warnings.append("The root is not AMD's: you named it as trusted.")
        else:
            self._add(Role.ARK, Role.ARK, self._foreign_root(ark), "")
        return Root.NOT_AMD

    def _amd_keys(self, ark: AmdCertificate) -> RootKeys | None:
        return next((keys for keys in self.roots if keys.ark.same_body(ark)), None)

    def _foreign_root(self, ark: AmdCertificate) -> str:
        for keys in self.roots:
            if keys.ark.key_id == ark.key_id:
                return (
                    f"not AMD's root: it carries the key id of AMD's {keys.generation} root, but"
                    " is not that certificate; it was altered, or the whole chain is forged"
                )
        return "not AMD's root: its key is none of AMD's known roots"

    def _check_ask(self) -> None:
        if self._can_check(Role.ASK, Role.ARK):
            problem = ask_problem(self.amd[Role.ASK], self.amd[Role.ARK])
            self._add(Role.ASK, Role.ARK, problem, "signed by the ARK")

    def _check_cek(self) -> None:
        if Role.CEK in self.sev and Role.ASK not in self.amd:
            no_slot = slot_of(self.sev[Role.CEK].signatures, Usage.ASK)
            if isinstance(no_slot, str):
                self._add(Role.CEK, Role.ASK, UNSIGNED_CEK, "")
                return
        if self._can_check(Role.CEK, Role.ASK):
            problem = self._other_cek() or cek_problem(self.sev[Role.CEK], self.amd[Role.ASK])
            self._add(Role.CEK, Role.ASK, problem, "signed by the ASK")

    def _other_cek(self) -> str | None:
        """AMD's copy must be of the very key that the host handed out (0x414 bytes)."""
        host, cek = self.given.cek_from_host, self.given.cek
        if host is None or cek is None or host[:SEV_SIGNED_SIZE] == cek[:SEV_SIGNED_SIZE]:
            return None
        return "the CEK of the host's chain is another chip's than the signed CEK that was given"

    def _check_ecdsa_link(self, role: Role, signer: Role) -> None:
        if self._can_check(role, signer):
            problem = ecdsa_link_problem(
                self.sev[role], Usage[role.name], self.sev[signer], Usage[signer.name]
            )
            good = "signs itself" if role is signer else f"signed by the {signer.name}"
            self._add(role, signer, problem, good)

    def _fail(self, role: Role, signer: Role, reason: str) -> None:
        """Turn a link that was good so far into a failed one."""
        for index, link in enumerate(self.links):
            if (link.certificate, link.signed_by, link.verdict) == (role, signer, Verdict.OK):
                self.links[index] = Link(role, signer, Verdict.FAILED, reason)

    def _check_oca_pin(self) -> None:
        if self.oca_pin is None or Role.OCA not in self.sev:
            return
        if self.sev[Role.OCA].fingerprint() != self.oca_pin:
            self._fail(Role.OCA, Role.OCA, "not the owner CA that you pinned: another key")

    def _check_cek_pins(self) -> None:
        cek = self.sev.get(Role.CEK)
        if cek is not None and self.cek_pins and cek.fingerprint() not in self.cek_pins:
            self._fail(Role.CEK, Role.ASK, "none of the chips that you pinned: another CEK")

    def _check_pdh_key(self) -> None:
        """The PDH must be a key that a session can be agreed with: ECDH, on the curve, P-384."""
        pdh = self.sev.get(Role.PDH)
        if pdh is None:
            return
        try:
            pdh_public_key(pdh)
        except BadInput as error:
            self._fail(Role.PDH, Role.PEK, error.message)

    # -- the rest ----------------------------------------------------------------

    def _warn_of_stray_bytes(self) -> None:
        ask = self.amd.get(Role.ASK)
        rsa_width = ask.bits // 8 if ask is not None else SIGNATURE_SIZE
        for role, certificate in self.sev.items():
            for number, slot in enumerate(certificate.signatures, start=1):
                if has_stray_bytes(slot, _SIGNERS[role], rsa_width):
                    self.warnings.append(
                        f"{role.name}: bytes that don't belong there in signature {number};"
                        " nothing signs them and nothing uses them, so they were ignored."
                    )

    def _report(self, root: Root) -> ChainReport:
        keys = self.root_keys
        pdh = self.given.pdh
        return ChainReport(
            links=tuple(self.links),
            root=root,
            generation=keys.generation if keys is not None else None,
            pdh_sha256=hashlib.sha256(pdh).hexdigest() if pdh is not None else None,
            cek_sha256=self._fingerprint(Role.CEK),
            oca_sha256=self._fingerprint(Role.OCA),
            chip_id=self.given.chip_id.hex() if self.given.chip_id is not None else None,
            warnings=tuple(self.warnings),
        )

    def _fingerprint(self, role: Role) -> str | None:
        certificate = self.sev.get(role)
        return certificate.fingerprint() if certificate is not None else None


def examine_chain(
    certificates: PlatformCertificates,
    roots: Sequence[RootKeys],
    *,
    trusted_roots: Sequence[AmdCertificate] = (),
    oca_pin: str | None = None,
    cek_pins: Sequence[str] = (),
) -> ChainReport:
    """Check every link of a chain and say what came of each; never raises for bad certificates.

    ``roots``          AMD's keys
    ``trusted_roots``  other roots that the owner named as trusted
    ``oca_pin``        fingerprint (SHA-256 of the signed 0x414 bytes, hex) that the OCA must have
    ``cek_pins``       fingerprints of which the CEK must have one, if there are any
    """
    return _Examination(certificates, roots, trusted_roots, oca_pin, cek_pins).run()
