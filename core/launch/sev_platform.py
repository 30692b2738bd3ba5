# SPDX-License-Identifier: Apache-2.0
"""Brings a platform's certificates together and judges them, for the platform step."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace

from ..errors import BadInput, HostError, VerificationRefused
from ..sev.chain import ChainReport, PlatformCertificates
from ..sev.chain_files import RecognisedChain, recognise
from ..sev.platform import Platform, judge_chain
from ..sev.secret_packet import platform_not_proven
from .driver import Record
from .host_certificates import read_host_certificates
from .sev_plan import CertificateFile, SevPlan, SevWorld


async def gather_certificates(plan: SevPlan, world: SevWorld) -> RecognisedChain | None:
    """What is known already, or else what the owner has, the host says, and others know of it.

    None where there is nothing and the host is not asked.
    """
    if plan.known_certificates is not None:
        return RecognisedChain(plan.known_certificates, ())
    files = list(plan.certificate_files)
    if not plan.ask_host:
        return recognise(files) if files else None
    async with world.open_platform() as host:
        answer = await host.platform()
    files += read_host_certificates(answer.pdh, answer.cert_chain)
    so_far = _recognise_with_host(files).certificates
    files += await _more_certificates(plan, world, answer.cpu_id, so_far)
    recognised = _recognise_with_host(files)
    if recognised.certificates.chip_id is None:
        certificates = replace(recognised.certificates, chip_id=answer.cpu_id)
        recognised = replace(recognised, certificates=certificates)
    return recognised


async def _more_certificates(
    plan: SevPlan, world: SevWorld, chip_id: bytes | None, so_far: PlatformCertificates
) -> Sequence[CertificateFile]:
    """What others know; a waived platform does not depend on their answer."""
    try:
        return await world.more_certificates(chip_id, so_far)
    except HostError:
        if plan.platform_waiver is not None:
            return ()
        raise


def _recognise_with_host(files: list[CertificateFile]) -> RecognisedChain:
    """Put files and the host's answers together; where they contradict, the host is refused."""
    try:
        return recognise(files)
    except BadInput as error:
        if error.code != "ambiguous-chain":
            raise
        raise VerificationRefused(
            "host-contradicts-files",
            "The host's certificates contradict the ones that are known",
            f"{error.field[:1].upper()}{error.field[1:]}: {error.message}",
            "If the platform was reset, get its certificates anew; otherwise send it nothing.",
        ) from None


def judge_platform(plan: SevPlan, world: SevWorld, certificates: PlatformCertificates) -> Platform:
    """The platform of these certificates, as today's roots, advisories and pins have it.

    Raises VerificationRefused as ``judge_chain``, and ``platform-not-proven`` where a
    secret of worth could not be sealed for it anyway.
    """
    platform = judge_chain(
        certificates,
        world.roots,
        world.advisories,
        trusted_roots=plan.trusted_roots,
        oca_pin=plan.oca_pin,
        cek_pins=plan.cek_pins,
        waiver=plan.platform_waiver,
    )
    if not platform.proven and not all(order.test for order in plan.secrets):
        raise platform_not_proven(platform.name)
    return platform


def platform_record(
    certificates: PlatformCertificates,
    report: ChainReport,
    name: str,
    warnings: tuple[str, ...],
) -> Record:
    """What the platform step tells: verdicts, and the certificates that they are about."""
    given = {
        role.value: base64.b64encode(data).decode()
        for role, data in certificates.by_role().items()
        if data is not None
    }
    verdict = report.with_warnings(warnings).as_json()
    return {"platform": name, **verdict, "certificates": given}
