# SPDX-License-Identifier: Apache-2.0
"""What the owner decided for a SEV launch, and what the launch works with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from ..hosts.protocol import Host, StartOrder
from ..secret import Secret
from ..sev.advisories import Advisories
from ..sev.certificates import AmdCertificate
from ..sev.chain import PlatformCertificates, RootKeys
from ..sev.diagnosis_question import ApprovedContents
from ..sev.digest import LaunchDigest
from ..sev.firmware import FirmwareImage
from ..sev.firmware_approval import ApprovedFirmware
from ..sev.measurement import FirmwareRequirements, VerifiedMeasurement
from ..sev.platform import Platform
from ..sev.policy import ApprovedPolicy
from ..sev.secret_packet import Packet
from ..sev.secret_table import (
    Route,
    SecretEntry,
    TestSecretEntry,
    ends_with_newline,
    needs_trailing_nul,
    with_trailing_nul,
)
from ..sev.session import LaunchMaterial
from .keeper import UNKEPT, LaunchKeeper


@dataclass(frozen=True, slots=True)
class SecretOrder:
    """One secret to hand over: where it goes, and how to get at it when the time has come.

    ``load`` is called only after the measurement was verified.
    ``test`` marks a secret of no worth, the only kind for a platform that is not proven.
    ``entry`` names the vault's entry that it comes from, if it comes from there.
    """

    name: str
    guid: UUID
    load: Callable[[], Secret] = field(repr=False)
    test: bool = False
    entry: str | None = None


@dataclass(frozen=True, slots=True)
class PreparedSecrets:
    """Secrets ready to be sealed, and what may be told of them."""

    entries: tuple[SecretEntry, ...]
    notes: tuple[dict[str, object], ...]


def prepare_secrets(orders: Sequence[SecretOrder], route: Route) -> PreparedSecrets:
    """Load the secrets; a disk passphrase for GRUB gets its NUL, and the notes say so."""
    entries: list[SecretEntry] = []
    notes: list[dict[str, object]] = []
    try:
        _load_all(orders, route, entries, notes)
    except BaseException:
        for entry in entries:
            entry.data.wipe()
        raise
    return PreparedSecrets(tuple(entries), tuple(notes))


def _load_all(
    orders: Sequence[SecretOrder],
    route: Route,
    entries: list[SecretEntry],
    notes: list[dict[str, object]],
) -> None:
    for order in orders:
        data = order.load()
        newline = ends_with_newline(data)
        nul = needs_trailing_nul(order.guid, data, route)
        if nul:
            data = with_trailing_nul(data)
        kind = TestSecretEntry if order.test else SecretEntry
        entries.append(kind(order.guid, data))
        notes.append(
            {
                "name": order.name,
                "guid": str(order.guid),
                **({} if order.entry is None else {"entry": order.entry}),
                "size": len(data),
                "trailing_nul_added": nul,
                "ends_with_newline": newline,
                "test": order.test,
            }
        )


@dataclass(frozen=True, slots=True)
class AdoptedKeys:
    """Transport keys that an earlier command or another tool made."""

    tek: Secret
    tik: Secret


@dataclass(frozen=True, slots=True)
class EarlierSession:
    """A session that an earlier process made.

    ``load_keys``  TEK and TIK for the platform that was judged again; refuses any other one
    """

    material: LaunchMaterial
    load_keys: Callable[[Platform], AdoptedKeys] = field(repr=False)


class PlatformRules(Protocol):
    """What the owner asks of a platform beside its chain."""

    def admit(self, platform: Platform) -> Mapping[str, object]:
        """Raise VerificationRefused if nothing may be started there; what the record tells."""

    def allow_secrets(self, platform: Platform | None) -> None:
        """Raise VerificationRefused unless secrets may be sealed for it."""


class NoPlatformRules:
    """The chain alone decides."""

    def admit(self, platform: Platform) -> Mapping[str, object]:
        """Any that the chain speaks for."""
        del platform
        return {}

    def allow_secrets(self, platform: Platform | None) -> None:
        """Any that was admitted."""


def no_other_firmware() -> tuple[tuple[str, FirmwareImage], ...]:
    """No other image is at hand."""
    return ()


_NO_RULES: Final = NoPlatformRules()
_NOTHING_SEEN: Final = ApprovedFirmware()


@dataclass(frozen=True, slots=True)
class SevPlan:
    """The owner's decisions for one SEV or SEV-ES launch.

    ``digests``            the approved launch digests; the verdict says which one matched
    ``secret_area``        bytes of the firmware's secret area, None where it is not known
    ``certificate_files``  names and contents, beside what the host says (AMD's copy of the CEK)
    ``known_certificates`` what an earlier process gathered: judged again, and nobody is asked
    ``platform_rules``     what is asked of a platform beside its chain
    ``firmware``           that it may be given a secret, as far as can be seen
    ``approved``           what the digests were made of, to explain a mismatch with
    ``other_firmware``     other images at hand, read only after a mismatch
    ``ask_host``           whether the host is asked for its certificates
    ``adopted_keys``       keys made elsewhere, instead of a session of our own
    ``earlier_session``    the session that an earlier process made
    ``kernel_hashes``, ``contents``  for whoever starts the VM: whether a kernel is measured,
    and what was approved in words
    ``warnings``           what the owner is to be told about what should run
    """

    digests: tuple[LaunchDigest, ...]
    secret_area: int | None
    policy: ApprovedPolicy
    requirements: FirmwareRequirements
    secrets: tuple[SecretOrder, ...] = ()
    route: Route = Route.GRUB
    ask_host: bool = True
    certificate_files: tuple[tuple[str, bytes], ...] = ()
    known_certificates: PlatformCertificates | None = None
    trusted_roots: tuple[AmdCertificate, ...] = ()
    oca_pin: str | None = None
    cek_pins: tuple[str, ...] = ()
    platform_rules: PlatformRules = _NO_RULES
    platform_waiver: str | None = None
    firmware: ApprovedFirmware = _NOTHING_SEEN
    adopted_keys: AdoptedKeys | None = None
    earlier_session: EarlierSession | None = None
    approved: tuple[ApprovedContents | bytes, ...] = ()
    other_firmware: Callable[[], tuple[tuple[str, FirmwareImage], ...]] = no_other_firmware
    kernel_hashes: bool = False
    contents: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


CertificateFile = tuple[str, bytes]
"""A name to call it by in errors, and its content."""
OpenHost = Callable[[], AbstractAsyncContextManager[Host]]
"""Opens a connection that lasts for one step; connections are not kept while idle."""
MoreCertificates = Callable[
    [bytes | None, PlatformCertificates], Awaitable[Sequence[CertificateFile]]
]
"""What others know of a chip id (64 bytes), with what there is so far."""


async def _nobody_starts(material: LaunchMaterial) -> None:
    """The VM was started before, by somebody else."""
    del material


async def _nobody_advises(host: Host, start: StartOrder) -> Sequence[str]:
    """Nothing is known of what the VM is started with."""
    del host, start
    return ()


async def _nobody_refuses(verified: VerifiedMeasurement) -> None:
    """The launch's own guards alone decide."""
    del verified


async def nobody_else_knows(
    chip_id: bytes | None, so_far: PlatformCertificates
) -> Sequence[CertificateFile]:
    """Nobody but the host is asked."""
    del chip_id, so_far
    return ()


@dataclass(frozen=True, slots=True)
class SevWorld:
    """What a launch works with; everything that is not a calculation comes in here.

    ``open_platform``  the host, to ask about its secure processor
    ``open_guest``     the started VM
    ``start``          has the VM started paused with GODH, blob and policy
    ``advise``         warnings about what the host has started the VM with; no verdict
    ``more_certificates``  what others than the host know for a chip id, such as AMD's copy of
    the CEK; asked after the host, with what there is so far
    ``random``         a source such as ``os.urandom``
    ``seen_nonces``    measurement nonces of earlier launches
    ``report_nonce``   the nonce (16 bytes) to ask for a report with, where it can't be any random
    one: a host that is reached by hand has to know it with the packet
    ``before_sealing``  may refuse that the one packet is sealed for what was verified
    ``keeper``         has on disk what must be there before the next thing happens
    """

    open_platform: OpenHost
    open_guest: OpenHost
    random: Callable[[int], bytes]
    roots: tuple[RootKeys, ...]
    advisories: Advisories
    start: Callable[[LaunchMaterial], Awaitable[None]] = _nobody_starts
    advise: Callable[[Host, StartOrder], Awaitable[Sequence[str]]] = _nobody_advises
    more_certificates: MoreCertificates = nobody_else_knows
    seen_nonces: Collection[bytes] = ()
    report_nonce: Callable[[Packet | None], bytes] | None = None
    before_sealing: Callable[[VerifiedMeasurement], Awaitable[None]] = _nobody_refuses
    keeper: LaunchKeeper = UNKEPT
