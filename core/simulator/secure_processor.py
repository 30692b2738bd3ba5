# SPDX-License-Identifier: Apache-2.0
"""The secure processor: guest contexts and the launch commands on them.

Source: AMD SEV API specification (LAUNCH_START to LAUNCH_FINISH, ATTESTATION), the order of
states, and what each command checks. One launch session is accepted any number of times,
as silicon does: that an owner's blob starts one guest only is the owner's business.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from .certificate_layout import Algorithm, Usage, parse_owner_key, raw_ecdsa_signature
from .firmware_status import FirmwareRefusal, FirmwareStatus
from .key_derivation import TransportKeys, aes_ctr, unwrap_session
from .launch_macs import PACKET_HEADER, FirmwareVersion, measurement_mac, packet_mac
from .platform_keys import PlatformKeys

LARGEST_SECRET = 16384
_REMEMBERED_PACKETS = 4096


class Policy(IntEnum):
    """Bits of a guest policy that the launch commands look at."""

    ES = 1 << 2
    RESERVED = 0xFFC0


class GuestState(IntEnum):
    """State of a guest, with the numbers that QEMU prints."""

    UNINIT = 0
    LAUNCH_UPDATE = 1
    LAUNCH_SECRET = 2
    RUNNING = 3


@dataclass(frozen=True, slots=True)
class PacketRecord:
    """One LAUNCH_SECRET: which guest, which packet (SHA-256 of header and data), how it ended."""

    handle: int
    packet_sha256: str
    status: FirmwareStatus


@dataclass(slots=True)
class _GuestContext:
    policy: int
    keys: TransportKeys = field(repr=False)
    state: GuestState = GuestState.LAUNCH_UPDATE
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    measure: bytes = b""


class SecureProcessor:
    """A software AMD secure processor with any number of guests.

    ``keys`` is the platform it belongs to, ``version`` its firmware, ``es_enabled`` whether
    the machine was set up for SEV-ES, ``random`` where nonces come from. Every command raises
    FirmwareRefusal with the status that the firmware would return.
    """

    def __init__(
        self,
        keys: PlatformKeys,
        version: FirmwareVersion | None = None,
        *,
        es_enabled: bool = True,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.keys = keys
        self.version = version or FirmwareVersion(*keys.api)
        self.es_enabled = es_enabled
        self._random = random
        self._guests: dict[int, _GuestContext] = {}
        self._next_handle = 1
        self._packets: deque[PacketRecord] = deque(maxlen=_REMEMBERED_PACKETS)

    @property
    def packets(self) -> tuple[PacketRecord, ...]:
        """Every LAUNCH_SECRET so far (the last 4096), accepted or refused, in order."""
        return tuple(self._packets)

    @property
    def guest_count(self) -> int:
        """How many guest contexts there are."""
        return len(self._guests)

    def distinct_packets(self, handle: int) -> int:
        """How many different packets a guest was offered: an owner never makes a second one."""
        return len({packet.packet_sha256 for packet in self._packets if packet.handle == handle})

    def rotate_pdh(self) -> None:
        """PDH_GEN: sessions made for the old PDH fail from now on; guests go on."""
        self.keys = self.keys.with_new_pdh()

    def launch_start(self, policy: int, godh: bytes, session: bytes) -> int:
        """Open a guest: policy, GODH certificate (2084 bytes), session (128 bytes); the handle.

        Status 4: a size is wrong; 7: reserved policy bits, a newer API asked for, or SEV-ES
        where there is none; 10: the GODH is damaged; 11: the session is for another PDH or
        another policy, or damaged.
        """
        if len(godh) != 2084 or len(session) != 128:
            raise FirmwareRefusal("LAUNCH_START", FirmwareStatus.INVALID_LENGTH)
        if not self._policy_allowed(policy):
            raise FirmwareRefusal("LAUNCH_START", FirmwareStatus.POLICY_FAILURE)
        owner_key = parse_owner_key(godh)
        if owner_key is None:
            raise FirmwareRefusal("LAUNCH_START", FirmwareStatus.BAD_SIGNATURE)
        keys = unwrap_session(self.keys.pdh_key, owner_key, session, policy)
        handle, self._next_handle = self._next_handle, self._next_handle + 1
        self._guests[handle] = _GuestContext(policy, keys)
        return handle

    def launch_update_data(self, handle: int, data: bytes) -> None:
        """Encrypt and measure guest memory; a length that is no multiple of 16 is status 4."""
        guest = self._guest("LAUNCH_UPDATE_DATA", handle, GuestState.LAUNCH_UPDATE)
        if not data or len(data) % 16:
            raise FirmwareRefusal("LAUNCH_UPDATE_DATA", FirmwareStatus.INVALID_LENGTH)
        guest.digest.update(data)

    def launch_update_vmsa(self, handle: int, page: bytes) -> None:
        """Encrypt and measure the save area (4096 bytes) of one virtual processor.

        Status 7 where the policy does not ask for SEV-ES, 4 for another size.
        """
        guest = self._guest("LAUNCH_UPDATE_VMSA", handle, GuestState.LAUNCH_UPDATE)
        if not guest.policy & Policy.ES:
            raise FirmwareRefusal("LAUNCH_UPDATE_VMSA", FirmwareStatus.POLICY_FAILURE)
        if len(page) != 4096:
            raise FirmwareRefusal("LAUNCH_UPDATE_VMSA", FirmwareStatus.INVALID_LENGTH)
        guest.digest.update(page)

    def launch_measure(self, handle: int) -> bytes:
        """The launch measurement (32 bytes) and its fresh nonce (16 bytes); done once a launch."""
        guest = self._guest("LAUNCH_MEASURE", handle, GuestState.LAUNCH_UPDATE)
        nonce = self._random(16)
        guest.measure = measurement_mac(
            guest.keys.tik, self.version, guest.policy, guest.digest.digest(), nonce
        )
        guest.state = GuestState.LAUNCH_SECRET
        return guest.measure + nonce

    def launch_secret(
        self,
        handle: int,
        header: bytes,
        data: bytes,
        address: int,
        store: Callable[[int, bytes], None],
    ) -> None:
        """Check and decrypt a packet, and ``store`` the plaintext at a guest physical address.

        Status 4: header not 52 bytes, or data empty, no multiple of 16 or over 16384 bytes;
        9: address no multiple of 16; 22: flags set (nobody compresses); 11: wrong MAC, that is
        wrong keys or the measurement of another guest.
        """
        guest = self._guest("LAUNCH_SECRET", handle, GuestState.LAUNCH_SECRET)
        status = self._judge_packet(guest, header, data, address)
        name = hashlib.sha256(header + data).hexdigest()
        self._packets.append(PacketRecord(handle, name, status))
        if status is not FirmwareStatus.SUCCESS:
            raise FirmwareRefusal("LAUNCH_SECRET", status)
        store(address, aes_ctr(guest.keys.tek, PACKET_HEADER.unpack(header)[1], data))

    def launch_finish(self, handle: int) -> None:
        """Close the launch: nothing can be measured or injected any more."""
        guest = self._guest("LAUNCH_FINISH", handle, GuestState.LAUNCH_SECRET)
        guest.state = GuestState.RUNNING

    def attestation(self, handle: int, nonce: bytes) -> bytes:
        """The report (208 bytes) on a running guest, signed by the PEK over its first 52 bytes."""
        guest = self._guest("ATTESTATION", handle, GuestState.RUNNING)
        if len(nonce) != 16:
            raise FirmwareRefusal("ATTESTATION", FirmwareStatus.INVALID_LENGTH)
        signed = nonce + guest.digest.digest() + struct.pack("<I", guest.policy)
        label = struct.pack("<III", Usage.PEK, Algorithm.ECDSA_SHA256, 0)
        return signed + label + raw_ecdsa_signature(self.keys.pek_key, signed)

    def guest_state(self, handle: int) -> GuestState:
        """Where the launch stands (uninit for an unknown handle)."""
        guest = self._guests.get(handle)
        return GuestState.UNINIT if guest is None else guest.state

    def decommission(self, handle: int) -> None:
        """Forget a guest and overwrite its keys; an unknown handle is ignored."""
        guest = self._guests.pop(handle, None)
        if guest is not None:
            guest.keys.wipe()

    def _policy_allowed(self, policy: int) -> bool:
        if not 0 <= policy <= 0xFFFFFFFF or policy & Policy.RESERVED:
            return False
        least_api = (policy >> 16 & 0xFF, policy >> 24 & 0xFF)
        return least_api <= self.version.api and (self.es_enabled or not policy & Policy.ES)

    def _guest(self, command: str, handle: int, state: GuestState) -> _GuestContext:
        guest = self._guests.get(handle)
        if guest is None:
            raise FirmwareRefusal(command, FirmwareStatus.INVALID_GUEST)
        if guest.state is not state:
            raise FirmwareRefusal(command, FirmwareStatus.INVALID_GUEST_STATE)
        return guest

    def _judge_packet(
        self, guest: _GuestContext, header: bytes, data: bytes, address: int
    ) -> FirmwareStatus:
        if (
            len(header) != PACKET_HEADER.size
            or not 0 < len(data) <= LARGEST_SECRET
            or len(data) % 16
        ):
            return FirmwareStatus.INVALID_LENGTH
        if address % 16:
            return FirmwareStatus.INVALID_ADDRESS
        flags, _, sent_mac = PACKET_HEADER.unpack(header)
        if flags:
            return FirmwareStatus.INVALID_PARAMETER
        right_mac = packet_mac(guest.keys.tik, self.version, header, data, guest.measure)
        if not hmac.compare_digest(right_mac, sent_mac):
            return FirmwareStatus.BAD_MEASUREMENT
        return FirmwareStatus.SUCCESS
