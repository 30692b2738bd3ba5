# SPDX-License-Identifier: Apache-2.0
"""From a recorded launch to the plan that it follows: everything is read and checked again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from ..errors import BadInput
from ..guest.document import read_profile
from ..guest.expected import ExpectedDigest, ExpectedLaunch
from ..guest.firmware_findings import approve_guest_firmware
from ..guest.profile import GuestProfile
from ..sev.certificates import AmdCertificate
from ..sev.chain import PlatformCertificates
from ..sev.diagnosis_question import ApprovedContents, DirectBoot
from ..sev.digest import LaunchDigest, VcpuSetup
from ..sev.kernel_hashes import KernelHashes
from ..sev.platform import Platform, judge_chain
from ..sev.policy import approve_policy
from ..sev.vmsa import VmsaGeneration
from ..vault.vault import Vault
from .engine import Launch, digest_of
from .platform_rules import OwnersRules
from .record import LaunchRecord
from .sev_plan import SevPlan
from .sev_steps import LAUNCH_STEPS
from .surroundings import Surroundings
from .vault_secrets import secret_orders

_MOST_EXPLAINED: Final = 4
"""Approved combinations that a mismatch is explained with: each may take most of a second."""


@dataclass(frozen=True, slots=True)
class PlannedLaunch:
    """A launch's profile as it was ordered, what that allows today, and the plan of it."""

    profile: GuestProfile
    expected: ExpectedLaunch
    plan: SevPlan

    def new_launch(self, record: LaunchRecord) -> Launch:
        """The launch without any fact: what counts is established in this process."""
        launch = Launch(record.id, record.technology, LAUNCH_STEPS, simulated=record.simulated)
        digests = [digest.value.hex() for digest in self.plan.digests]
        answers: dict[str, object] = {
            "guest": record.guest,
            "host": record.host,
            "contents": {"launch_digests": len(digests), "sha256": digest_of(digests)},
            "policy": self.plan.policy.policy.value,
            "certificates": [name for name, _ in self.plan.certificate_files] or record.host,
            "secrets": [reference.name for reference in self.profile.secret_references],
        }
        for name, value in answers.items():
            launch = launch.answer(name, value)
        return launch


def recorded_profile(record: LaunchRecord) -> GuestProfile:
    """The profile as it was when the launch was ordered; raises as ``read_profile``."""
    return read_profile(record.order.profile.encode(), f"guest profile {record.guest}")


def plan_launch(
    record: LaunchRecord, vault: Vault, surroundings: Surroundings, *, with_secrets: bool = True
) -> PlannedLaunch:
    """Read the recorded profile, and its files, again; the plan is of today.

    Without ``with_secrets`` nothing is to be sealed any more: the vault's entries need not
    be there, and where the files are not what was approved, the digests that were recorded
    count. Raises BadInput ``approved-file-changed`` and as ``expected_launch``,
    VerificationRefused as ``approve_policy`` and ``approve_guest_firmware``, and VaultError
    as ``secret_orders``.
    """
    profile, order = recorded_profile(record), record.order
    policy = approve_policy(profile.policy, order.policy_waiver)
    expected, warnings = _expected(record, profile, or_recorded=not with_secrets)
    firmware = approve_guest_firmware(profile, expected.files, order.firmware_waiver)
    plan = SevPlan(
        digests=expected.launch_digests(),
        secret_area=expected.secret_area,
        policy=policy,
        firmware=firmware,
        requirements=profile.requirements(surroundings.advisories),
        secrets=secret_orders(profile, vault) if with_secrets else (),
        route=profile.chosen_route,
        ask_host=order.ask_host,
        certificate_files=order.certificate_files,
        trusted_roots=_trusted_roots(record),
        oca_pin=profile.require_oca_pin(),
        cek_pins=_cek_pins(profile),
        platform_waiver=order.platform_waiver,
        platform_rules=owners_rules(record, profile, surroundings),
        approved=tuple(itertools.islice(_approved(profile, expected), _MOST_EXPLAINED)),
        other_firmware=surroundings.other_firmware,
        kernel_hashes=bool(profile.kernel),
        contents=_in_words(expected, profile),
        warnings=warnings,
    )
    return PlannedLaunch(profile, expected, plan)


def _expected(
    record: LaunchRecord, profile: GuestProfile, *, or_recorded: bool
) -> tuple[ExpectedLaunch, tuple[str, ...]]:
    """What the profile allows, by its files as they are; else by the record, with a warning.

    An update of a file is no news about a VM that was measured before it.
    """
    try:
        return profile.to_expected(), ()
    except BadInput as error:
        if or_recorded and record.launch_digests:
            return _recorded_digests(record), (_not_approved_now(error),)
        if error.code != "approved-file-changed" or not record.id:
            raise
        raise _changed_meanwhile(record.id, error) from None


def _recorded_digests(record: LaunchRecord) -> ExpectedLaunch:
    words = "as it was approved when the launch was prepared"
    digests = (LaunchDigest(value, ()) for value in record.launch_digests)
    return ExpectedLaunch(tuple(ExpectedDigest(digest, words) for digest in digests), None, (), ())


def _not_approved_now(error: BadInput) -> str:
    return (
        "THE GUEST'S FILES ARE NOT USED: what counts are the launch digests that were recorded"
        f" when the launch was prepared. {error.message}"
    )


def _changed_meanwhile(launch_id: str, error: BadInput) -> BadInput:
    """To approve the file now changes the profile, and not a launch that was prepared by it."""
    return BadInput(
        error.code,
        error.field,
        error.message,
        "The launch counts by the profile as it was when it was prepared. Put the approved file"
        f" back, or give the launch up (`watchword launch abandon {launch_id} --reason TEXT`),"
        " approve the new file if you changed it yourself, and prepare a new one.",
        dict(error.details),
    )


def judge_recorded(
    record: LaunchRecord, profile: GuestProfile, surroundings: Surroundings
) -> Platform:
    """The platform of a launch, as today's roots, advisories, pins and deny-list have it.

    Raises VerificationRefused as ``judge_chain``, and ``platform-denied``.
    """
    platform = judge_chain(
        record.platform_certificates() or PlatformCertificates(),
        surroundings.roots,
        surroundings.advisories,
        trusted_roots=_trusted_roots(record),
        oca_pin=profile.require_oca_pin(),
        cek_pins=_cek_pins(profile),
        waiver=record.order.platform_waiver,
    )
    surroundings.deny_list.refuse(platform.report)
    return platform


def _trusted_roots(record: LaunchRecord) -> tuple[AmdCertificate, ...]:
    return tuple(
        AmdCertificate.parse(data, "the trusted root") for data in record.order.trusted_roots
    )


def _cek_pins(profile: GuestProfile) -> tuple[str, ...]:
    return tuple(cek.sha256 for cek in profile.ceks)


def owners_rules(
    record: LaunchRecord, profile: GuestProfile, surroundings: Surroundings
) -> OwnersRules:
    """What this owner asks of the launch's platform beside its chain."""
    return OwnersRules(
        profile,
        surroundings.deny_list,
        surroundings.advisories,
        record.accepted_platform,
        record.order.require_pinned,
    )


def _approved(
    profile: GuestProfile, expected: ExpectedLaunch
) -> Iterator[ApprovedContents | bytes]:
    """What the digests are made of, combination by combination, the likeliest first."""
    images = [
        file.found.image
        for file in expected.files
        if file.component == "firmware" and file.found.image is not None
    ]
    if not images:
        yield from (digest.value for digest in expected.launch_digests())
    for image, boot, vcpus in itertools.product(
        images, list(_boots(profile)), list(_vcpus(profile))
    ):
        yield ApprovedContents(image, boot, vcpus)


def _boots(profile: GuestProfile) -> Iterator[DirectBoot | None]:
    if not profile.kernel:
        yield None
    initrds = [bytes.fromhex(file.sha256 or "") for file in profile.initrd]
    lines: list[str | bytes | None] = [
        line.sha256 if line.text is None else line.text for line in profile.cmdline
    ]
    for kernel, initrd, line in itertools.product(
        profile.kernel, initrds or [KernelHashes.NO_INITRD], lines or [None]
    ):
        yield DirectBoot(bytes.fromhex(kernel.sha256 or ""), initrd, line)


def _vcpus(profile: GuestProfile) -> Iterator[VcpuSetup | None]:
    if not profile.needs_es:
        yield None
        return
    generation = profile.vmsa or VmsaGeneration.LEGACY
    for cpu, count in itertools.product(profile.cpu, profile.vcpus):
        yield VcpuSetup(count, cpu.signature, generation, profile.sev_features)


def _in_words(expected: ExpectedLaunch, profile: GuestProfile) -> tuple[str, ...]:
    """What may be loaded, as the host is told: which files, and not where the owner has them."""
    approved = itertools.chain(profile.firmware, profile.kernel, profile.initrd)
    paths = sorted({(file.path, file.sha256 or "") for file in approved if file.path})
    words = [digest.description for digest in expected.digests[:_MOST_EXPLAINED]]
    for path, sha256 in reversed(paths):  # where one begins with another, that one comes first
        name = f"{PurePath(path).name} (SHA-256 {sha256[:16]}...)"
        words = [line.replace(path, name) for line in words]
    return tuple(words)
