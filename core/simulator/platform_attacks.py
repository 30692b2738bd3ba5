# SPDX-License-Identifier: Apache-2.0
"""Attacks on the platform's identity: chains, certificates, firmware version."""

from __future__ import annotations

from dataclasses import replace

from .attack import Attack
from .certificate_layout import without_signatures
from .launch_macs import FirmwareVersion
from .platform_keys import PlatformKeys, SigningRoot
from .secure_processor import SecureProcessor
from .substitution import under_other_session
from .virtual_machine import StartOrder

ROME_ARK_ID = bytes.fromhex("e6002122fb58419399d15fee7b131351")
ROME_ASK_ID = bytes.fromhex("c6cbcf145b3146f498e40ecb4ad4fded")


class ForgedChain(Attack):
    """The whole chain hangs from a root of the host's own, which carries AMD's key ids."""

    name = "forged-chain"
    description = (
        "The host shows a complete chain under a root of its own that carries the key ids of "
        "AMD's Rome root; it knows every key, and the VM would run on it happily."
    )

    def platform(self, genuine: PlatformKeys) -> PlatformKeys:
        """A made-up machine that claims the genuine one's chip id."""
        root = SigningRoot.generate(genuine.root.ark_key.key_size, ROME_ARK_ID, ROME_ASK_ID)
        return replace(PlatformKeys.generate_under(root, genuine.api), chip_id=genuine.chip_id)


class SwappedPdh(Attack):
    """The PDH belongs to another machine."""

    name = "swapped-pdh"
    description = (
        "The host shows its genuine chain with the Diffie-Hellman certificate (PDH) of another "
        "machine, whose private key it could use."
    )

    def platform(self, genuine: PlatformKeys) -> PlatformKeys:
        """The genuine machine with a sibling's PDH."""
        other = genuine.sibling()
        return replace(genuine, pdh_key=other.pdh_key, pdh=other.pdh)


class ForeignCek(Attack):
    """The chip key is genuine, but of another chip."""

    name = "foreign-cek"
    description = (
        "The host shows the chip key (CEK) and the chip id of another genuine machine, which "
        "did not sign this platform's PEK."
    )

    def __init__(self) -> None:
        self._others: tuple[PlatformKeys, ...] = ()

    def platform(self, genuine: PlatformKeys) -> PlatformKeys:
        """The genuine machine with a sibling's CEK and chip id."""
        other = genuine.sibling()
        self._others = (other,)
        return replace(genuine, chip_id=other.chip_id, cek_key=other.cek_key, cek=other.cek)

    def other_machines(self) -> tuple[PlatformKeys, ...]:
        """The sibling: AMD's key service knows it."""
        return self._others


class UnsignedCek(Attack):
    """The chip key is one that AMD never signed."""

    name = "unsigned-cek"
    description = (
        "The host shows a chip key (CEK) that it made itself and that AMD never signed, with "
        "a PEK and a PDH that hang from it, under the genuine chip id."
    )

    def platform(self, genuine: PlatformKeys) -> PlatformKeys:
        """A made-up machine that claims the genuine one's chip id, its CEK without signature."""
        made_up = genuine.sibling()
        return replace(made_up, chip_id=genuine.chip_id, cek=without_signatures(made_up.cek))


class _OtherFirmware(Attack):
    """The secure processor runs a firmware that an owner must not accept."""

    runs: FirmwareVersion

    def version(self, _genuine: FirmwareVersion) -> FirmwareVersion:
        """The firmware that runs; the PEK keeps saying something better."""
        return self.runs

    def order(self, order: StartOrder, processor: SecureProcessor) -> StartOrder:
        """Where the policy forbids this firmware, only a session of the host's own can start."""
        least = (order.policy >> 16 & 0xFF, order.policy >> 24 & 0xFF)
        if not order.with_sev or least <= self.runs.api:
            return order
        return under_other_session(order, processor, order.policy & 0xFFFF)


class LowApi(_OtherFirmware):
    """A firmware whose packet MAC doesn't cover the measurement."""

    name = "low-api"
    description = (
        "The secure processor runs firmware API 0.16, which binds a secret to no measurement: "
        "what is sealed for one VM can be injected into another."
    )
    runs = FirmwareVersion(0, 16, 1)


class KnownBadBuild(_OtherFirmware):
    """A firmware build with a known hole."""

    name = "known-bad-build"
    description = (
        "The secure processor runs firmware API 0.17 build 11, which is known to give away "
        "keys; its measurement is right as far as it goes."
    )
    runs = FirmwareVersion(0, 17, 11)
