# SPDX-License-Identifier: Apache-2.0
"""The guest profile: what the owner agreed should run, as a model that checks all of it at once."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from ..errors import VerificationRefused
from ..sev.advisories import Advisories
from ..sev.chain import ChainReport
from ..sev.measurement import FirmwareRequirements
from ..sev.policy import OLDEST_SAFE_API
from ..sev.secret_table import MOST_ENTRIES, Route, parse_secret_name
from . import value_types as of
from .approvals import not_approved
from .expected import ExpectedLaunch, expected_launch
from .problems import FieldProblem
from .rules import RulesBroken, broken_rules
from .toml_document import Table
from .watch_limits import WatchLimits

LARGEST_SET = 64
"""Values that a set of approved values may have."""
MOST_CEKS = 1000
"""Chips that a profile may name."""


class ApprovedFile(Table):
    """A file: where it is, and the content that the owner agreed to.

    ``sha256`` without ``approved`` is a claim, of an imported profile, that the owner
    has not agreed to yet; a path alone is a file that was not looked at yet.
    """

    path: of.FilePath | None = Field(None, description="where the file is on this machine")
    sha256: of.Sha256 | None = Field(None, description="SHA-256 of the approved content")
    size: of.FileSize | None = Field(None, description="bytes of the approved content")
    approved: of.Moment | None = Field(None, description="when the owner agreed to the content")

    @property
    def is_approved(self) -> bool:
        """Whether the owner agreed to a content."""
        return self.sha256 is not None and self.approved is not None

    @property
    def label(self) -> str:
        """What to call it: its path, or the beginning of its hash."""
        return self.path or f"SHA-256 {(self.sha256 or '')[:16]}…"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.path is None and self.sha256 is None:
            raise FieldProblem("It needs a path, a sha256, or both.")
        if self.sha256 is None and (self.size is not None or self.approved is not None):
            raise FieldProblem("“size” and “approved” belong to a sha256, and there is none.")
        return self


class OwnerCa(Table):
    """The owner CA that the platform must have: its fingerprint, and the file that it came from."""

    sha256: of.Sha256 | None = Field(
        None, description="SHA-256 of the certificate's signed 0x414 bytes"
    )
    path: of.FilePath | None = Field(None, description="the OCA's certificate on this machine")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.path is None and self.sha256 is None:
            raise FieldProblem("It needs the OCA's fingerprint (sha256), its path, or both.")
        return self


class PinnedCek(Table):
    """A chip that the guest may run on, by its endorsement key."""

    sha256: of.Sha256 = Field(description="SHA-256 of the CEK's signed 0x414 bytes")
    chip_id: of.ChipId | None = Field(
        None, description="for people: the chip's id as AMD's key service knows it"
    )
    note: of.ShortText | None = Field(None, description="for people")


_Files = Annotated[tuple[Annotated[ApprovedFile, of.TextFor("path")], ...], of.OneOrMore()]
_Oca = Annotated[OwnerCa, of.TextFor("sha256", path_key="path")]
_Ceks = Annotated[tuple[Annotated[PinnedCek, of.TextFor("sha256")], ...], of.OneOrMore()]


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A secret by reference: the guest finds it under ``guid``, the vault under ``entry``."""

    name: str
    guid: UUID
    entry: str


class GuestProfile(Table):
    """What the owner agreed should run, where, and which secrets it may have.

    Sets (firmware, kernel, initrd, cmdline, vcpus, cpu) mean: any of these.
    There are no secrets in it, only names of vault entries. Made by ``read_profile`` and
    ``profile_from_document``, whose errors are for people; never changed afterwards.
    """

    format: of.Format = Field(1, description="always 1")
    name: of.ProfileName = Field(description="the profile's name, its file's without .toml")
    description: of.LongText = Field("", description="for people")
    technology: of.Technology = Field(description="what the policy's ES bit says, stated")
    policy: of.PolicyValue = Field(
        description="guest policy in hex, decimal or names; “default” is 0x1100002f"
    )
    minimum_api: of.ApiVersion = Field(
        OLDEST_SAFE_API, description="least API of the secure processor's firmware, as “1.49”"
    )
    minimum_build: of.Build = Field(
        0, description="least build where the API is the least one; 0 asks for none"
    )
    oca: _Oca | None = Field(None, description="the owner CA that the platform must have")
    ceks: _Ceks = Field(
        (), max_length=MOST_CEKS, description="chips that the guest may run on; none: any"
    )
    firmware: _Files = Field(
        max_length=LARGEST_SET, description="firmware images as the host maps them"
    )
    kernel: _Files = Field(
        (), max_length=LARGEST_SET, description="kernels, where kernel-hashes=on is used"
    )
    initrd: _Files = Field((), max_length=LARGEST_SET, description="initrds")
    cmdline: Annotated[tuple[of.Cmdline, ...], of.OneOrMore()] = Field(
        (), max_length=LARGEST_SET, description="kernel command lines; every byte counts"
    )
    vcpus: of.VcpuCounts = Field((), description="numbers of vCPUs: 4, “1-8”, “1-4,8” or [2, 4]")
    cpu: Annotated[tuple[of.Cpu, ...], of.OneOrMore()] = Field(
        (), max_length=LARGEST_SET, description="CPUs: QEMU's names, 25/1/1 or 0xa00f11"
    )
    vmsa: of.Generation = Field(
        None, description="generation of the VMSA pages; auto: both, legacy first"
    )
    sev_features: of.SevFeatures = Field(
        0, description="SEV_FEATURES of the vCPUs, 0 unless the VMM was told otherwise"
    )
    route: of.GuestRoute | None = Field(
        None, description="who reads the disk passphrase; without it: kernel if one is measured"
    )
    host: of.HostUrl | None = Field(None, description="URL of the host")
    secrets: of.Secrets = Field(
        {},
        max_length=MOST_ENTRIES,
        description="well-known name or GUID, and the vault entry that goes there",
    )
    watch: WatchLimits | None = Field(
        None, description="what `watchword --watch` may do; without it the guest is not served"
    )

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if problems := broken_rules(self.to_document()):
            raise RulesBroken(problems)
        return self

    @property
    def needs_es(self) -> bool:
        """Whether the vCPUs' first state is measured."""
        return self.policy.needs_es

    @property
    def chosen_route(self) -> Route:
        """Who reads the disk passphrase, as stated or as what is measured suggests."""
        return self.route or (Route.KERNEL if self.kernel else Route.GRUB)

    def require_oca_pin(self) -> str | None:
        """The fingerprint (hex) that the platform's OCA must have; None if any will do.

        BadInput ``not-approved`` where only a file is named: no pin is not the same as
        a pin that nobody has looked at yet.
        """
        if self.oca is None or self.oca.sha256 is not None:
            return None if self.oca is None else self.oca.sha256
        raise not_approved(self.name, [f"the owner CA {self.oca.path}"])

    @property
    def secret_references(self) -> tuple[SecretReference, ...]:
        """The secrets in the order of the file."""
        return tuple(
            SecretReference(name, parse_secret_name(name), entry)
            for name, entry in self.secrets.items()
        )

    def requirements(self, advisories: Advisories) -> FirmwareRequirements:
        """What is asked of the secure processor's firmware."""
        return FirmwareRequirements(self.minimum_api, self.minimum_build, advisories)

    def check_cek(self, report: ChainReport) -> None:
        """VerificationRefused ``cek-not-allowed`` for a chip that the profile does not name.

        The report's other verdicts are not looked at; without ``ceks`` any chip will do.
        """
        found = report.cek_sha256 or ""
        if not self.ceks or any(hmac.compare_digest(cek.sha256, found) for cek in self.ceks):
            return
        raise VerificationRefused(
            "cek-not-allowed",
            "The guest may not run on this chip",
            f"Profile “{self.name}” names the chips that are allowed; this platform's CEK"
            f" ({found or 'unknown'}) is none of them.",
            "If this machine is yours to trust, add its CEK: `watchword guest edit"
            f" {self.name} --add ceks={found or 'FINGERPRINT'}`.",
            {"cek_sha256": report.cek_sha256, "allowed": [cek.sha256 for cek in self.ceks]},
        )

    def to_document(self) -> dict[str, Any]:
        """The profile as TOML has it; what is not stated is left out."""
        given: dict[str, Any] = {"format": self.format}
        return given | self.model_dump(exclude_defaults=True)

    def to_expected(self) -> ExpectedLaunch:
        """All launches that the approved sets allow; reads the files. See ``expected_launch``."""
        return expected_launch(self)
