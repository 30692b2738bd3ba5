# SPDX-License-Identifier: Apache-2.0
"""From a recorded launch to the plan that it follows: everything is read and checked again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..guest.document import read_profile
from ..guest.expected import ExpectedLaunch
from ..guest.profile import GuestProfile
from ..sev.certificates import AmdCertificate
from ..sev.chain import PlatformCertificates
from ..sev.diagnosis_question import ApprovedContents, DirectBoot
from ..sev.digest import VcpuSetup
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

    Without ``with_secrets`` nothing is to be sealed any more, and the vault's entries need
    not be there. Raises BadInput ``approved-file-changed`` and as ``expected_launch``,
    VerificationRefused as ``approve_policy``, and VaultError as ``secret_orders``.
    """
    profile, order = recorded_profile(record), record.order
    policy = approve_policy(profile.policy, order.policy_waiver)
    expected = profile.to_expected()
    plan = SevPlan(
        digests=expected.launch_digests(),
        secret_area=expected.secret_area,
        policy=policy,
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
        kernel_hashes=bool(profile.kernel),
        contents=_in_words(expected),
    )
    return PlannedLaunch(profile, expected, plan)


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


def _in_words(expected: ExpectedLaunch) -> tuple[str, ...]:
    return tuple(digest.description for digest in expected.digests[:_MOST_EXPLAINED])
