# SPDX-License-Identifier: Apache-2.0
"""The Host protocol: what an owner asks of the place where a VM runs, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from ..sev.secret_packet import Packet

MEASUREMENT_BYTES: Final = 48
"""measure 32 followed by nonce 16 (AMD SEV API specification, LAUNCH_MEASURE)."""

REPORT_BYTES: Final = 208
"""The attestation report (AMD SEV API specification, ATTESTATION)."""

NONCE_BYTES: Final = 16
"""The nonce in measurement and attestation report."""

CHIP_ID_BYTES: Final = 64
"""The chip id of one socket, as AMD's key service wants it."""

_ENCRYPTED_STATE_BIT: Final = 1 << 2


class Technology(StrEnum):
    """QEMU's ``sev-type``. SEV-ES is SEV with a policy bit, and a QEMU before 9.1 names none."""

    SEV = "sev"
    SEV_SNP = "sev-snp"


class SevState(StrEnum):
    """Where the launch of the guest is. Source: QEMU qapi, ``SevState``."""

    UNINIT = "uninit"
    LAUNCH_UPDATE = "launch-update"
    LAUNCH_SECRET = "launch-secret"  # noqa: S105 - a state's name
    RUNNING = "running"
    SEND_UPDATE = "send-update"
    RECEIVE_UPDATE = "receive-update"


@dataclass(frozen=True, slots=True)
class PlatformAnswer:
    """What a host says about its secure processor; nothing of it is verified yet.

    ``pdh``                the PDH certificate; an honest one has 2084 bytes, up to 64 KiB get here
    ``cert_chain``         PEK, OCA and CEK; honestly 6252 bytes, up to 64 KiB get here
    ``cpu_id``             the chip id of socket 0, 64 bytes; None from QEMU before 7.1
    ``cbitpos``            the page table bit that marks encrypted memory
    ``reduced_phys_bits``  physical address bits lost to encryption
    The last two are None where nobody said: files of certificates don't.
    """

    pdh: bytes
    cert_chain: bytes
    cpu_id: bytes | None
    cbitpos: int | None
    reduced_phys_bits: int | None


@dataclass(frozen=True, slots=True)
class GuestState:
    """What a host says about the guest. The host may lie about any of it.

    ``enabled``     whether the guest is an SEV guest; a host that says no raises an error instead
    ``technology``  SEV or SEV-SNP
    ``api_major``, ``api_minor``, ``build``  the secure processor's firmware, each 0 to 255
    ``state``       where the launch is
    ``policy``      the guest policy, 32 bits
    ``handle``      the firmware's handle of the guest, 32 bits
    ``running``     whether the vCPUs run; False means paused
    """

    enabled: bool
    technology: Technology
    api_major: int
    api_minor: int
    build: int
    state: SevState
    policy: int
    handle: int
    running: bool

    @property
    def paused(self) -> bool:
        """Whether the vCPUs stand still."""
        return not self.running

    @property
    def encrypted_state(self) -> bool:
        """Whether the policy says SEV-ES."""
        return bool(self.policy & _ENCRYPTED_STATE_BIT)


@dataclass(frozen=True, slots=True)
class StartOrder:
    """What a host needs to start a guest for this owner.

    ``owner_dh_certificate``  GODH, 2084 bytes
    ``launch_blob``           the launch session, 128 bytes
    ``policy``                the guest policy, 32 bits
    ``kernel_hashes``         whether kernel, initrd and command line are measured
    ``contents``              what the owner approved to be loaded, in words for a person
    """

    owner_dh_certificate: bytes
    launch_blob: bytes
    policy: int
    kernel_hashes: bool = False
    contents: tuple[str, ...] = ()


class Host(Protocol):
    """A place where one VM runs.

    Each call ends within a time limit of its own, stated in the error. Errors raised:
    HostError (exit 4) for anything the host does or fails to do; AnswerPending (exit 9)
    where a person has to carry the question. Cancelling a call closes the connection.
    """

    @property
    def url(self) -> str:
        """Where the host is, as text for people and records (ASCII, no credentials)."""
        ...

    async def platform(self) -> PlatformAnswer:
        """PDH, certificate chain and chip id."""
        ...

    async def state(self) -> GuestState:
        """Where the launch stands, and whether the guest is paused."""
        ...

    async def vcpu_count(self) -> int:
        """The number of vCPUs that the guest has."""
        ...

    async def measurement(self) -> bytes:
        """The launch measurement: measure 32 followed by nonce 16, 48 bytes."""
        ...

    async def inject(self, packet: Packet) -> None:
        """Hand over the sealed secret. Nothing but a packet, which only exists once verified.

        It was sealed in this process, or read back, byte for byte, from where it was stored
        when it was sealed. A host that does not answer leaves it open whether the packet
        arrived: the same packet may then be sent again, another one never.
        """
        ...

    async def resume(self) -> None:
        """Let the guest run; the launch is over with that."""
        ...

    async def stop(self) -> None:
        """Pause the guest's vCPUs."""
        ...

    async def attestation_report(self, nonce: bytes) -> bytes:
        """The PEK-signed report, 208 bytes, for an owner's nonce of 16 bytes."""
        ...

    async def close(self) -> None:
        """Give the connection up. Never raises a HostError, never hangs; may be called again."""
        ...

    async def __aenter__(self) -> Self:
        """The host itself."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        ...


@runtime_checkable
class GuestStarter(Protocol):
    """A host that can start a guest itself; a QMP socket belongs to one that is started already."""

    async def start(self, order: StartOrder) -> None:
        """Start the guest paused, with the owner's certificate, launch blob and policy."""
        ...


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What a host says of the whole machine; nothing of it is proven. None: not told.

    ``sev_guests``     how many SEV guests fit at once (0: SEV is off)
    ``sev_es_guests``  how many SEV-ES guests fit at once
    ``sev_snp``        whether SEV-SNP is there
    """

    sev_guests: int | None
    sev_es_guests: int | None
    sev_snp: bool | None = None


@runtime_checkable
class NodeTeller(Protocol):
    """A host that tells of the whole machine; QEMU's monitor doesn't."""

    async def node(self) -> NodeAnswer:
        """What is there for encrypted guests."""
        ...


@dataclass(frozen=True, slots=True)
class GuestRow:
    """A VM that a host knows: its UUID, and its name (the host's words, 255 characters at most)."""

    uuid: str
    name: str


@runtime_checkable
class GuestLister(Protocol):
    """A host that knows which VMs there are; QEMU's monitor belongs to one."""

    async def guests(self) -> tuple[GuestRow, ...]:
        """All of them, started or not."""
        ...


@runtime_checkable
class DomainTeller(Protocol):
    """A host that shows what it starts the VM with: libvirt's domain XML."""

    async def domain_xml(self) -> str:
        """The domain's XML as it runs, or as it is defined; the host's words."""
        ...
