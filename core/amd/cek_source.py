# SPDX-License-Identifier: Apache-2.0
"""Where the signed CEK of a platform comes from: what is at hand, the cache, the key service.

Hosts hand out their CEK without AMD's signature. It is replaced by AMD's copy *of the
same key*; a copy of another key, or one that no built-in ASK signed, is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..errors import BadInput, VerificationRefused, WatchwordError
from ..sev.certificates import AmdCertificate
from ..sev.chain import PlatformCertificates, RootKeys
from ..sev.chain_files import is_signed_cek
from .certificate_cache import CertificateCache
from .chip_id import chip_id_missing, is_usable
from .key_service import Announce, KeyService, say_nothing
from .key_service_errors import OTHER_WAYS, KeyServiceError
from .signed_certificates import Flaw, SignedCek, fingerprint_of, judge_cek
from .single_flight import SingleFlight

CertificateFile = tuple[str, bytes]
"""A name to call it by in errors, and its content."""


class Origin(StrEnum):
    """Where a CEK was found; the value is stable in JSON."""

    AT_HAND = "at-hand"
    CACHE = "cache"
    KEY_SERVICE = "key-service"


_ORIGIN_NAMES = {
    Origin.AT_HAND: "the CEK at hand",
    Origin.CACHE: "the cached copy of AMD's CEK",
    Origin.KEY_SERVICE: "the key service's CEK",
}


@dataclass(frozen=True, slots=True)
class FoundCek:
    """A signed CEK, verified, and where it comes from.

    ``chip_id``  64 bytes, None where nobody named one
    ``note``     what else to tell people, such as that it could not be kept
    """

    cek: SignedCek
    origin: Origin
    chip_id: bytes | None
    note: str | None = None

    @property
    def data(self) -> bytes:
        """The 2084 bytes."""
        return self.cek.data

    @property
    def file(self) -> CertificateFile:
        """The certificate with a name to call it by."""
        return _ORIGIN_NAMES[self.origin], self.cek.data

    def as_json(self) -> dict[str, object]:
        """Chip id and fingerprint together, with stable field names."""
        return {
            "generation": self.cek.generation,
            "cek_sha256": self.cek.fingerprint,
            "chip_id": self.chip_id.hex() if self.chip_id is not None else None,
            "origin": self.origin.value,
            "note": self.note,
        }


class CekSource:
    """Finds the signed CEK of a platform; belongs to one event loop.

    ``roots``     AMD's keys
    ``cache``     None: nothing is looked up or kept on disk
    ``service``   None: offline, nobody is asked
    ``announce``  is told what the key service learns, just before it is asked
    """

    def __init__(
        self,
        roots: Sequence[RootKeys],
        cache: CertificateCache | None,
        service: KeyService | None,
        *,
        announce: Announce = say_nothing,
    ) -> None:
        self._roots = tuple(roots)
        self._cache = cache
        self._service = service
        self._announce = announce
        self._flights: SingleFlight[FoundCek] = SingleFlight()

    async def find(
        self, chip_id: bytes | None, so_far: PlatformCertificates | None = None
    ) -> FoundCek:
        """The signed CEK for a chip id (64 bytes), of the key in ``so_far`` if there is one.

        Either of both is enough where the certificate is at hand or in the cache; the key
        service needs the chip id. Raises BadInput ``cek-not-at-hand`` when offline,
        HostError ``chip-id-missing``, KeyServiceError, and VerificationRefused
        ``foreign-cek`` where the key service knows another key for the chip.
        """
        known = so_far or PlatformCertificates()
        chip = chip_id if is_usable(chip_id) else known.chip_id
        host_cek = known.cek_from_host or known.cek
        found = self._at_hand(known, chip) or self._cached(host_cek, chip)
        if found is not None:
            return found
        service = self._service
        if service is None:
            raise _not_at_hand()
        if chip is None or not is_usable(chip):
            raise chip_id_missing()
        key = (chip, None if host_cek is None else fingerprint_of(host_cek))
        return await self._flights.run(key, lambda: self._ask(service, chip, host_cek))

    async def more_certificates(
        self, chip_id: bytes | None, so_far: PlatformCertificates
    ) -> Sequence[CertificateFile]:
        """AMD's copy of the CEK for a launch, if the certificates so far need one.

        Nothing where the chain has a signed CEK already, good or bad, or leads to a root
        that is not AMD's: the chain is to be judged as it is, and AMD learns nothing of
        such a machine. Offline, nothing where nothing is cached. Raises as ``find`` does.
        """
        if so_far.cek is not None and is_signed_cek(so_far.cek):
            return ()
        if not self._may_be_amds(so_far):
            return ()
        if so_far.cek is None and not is_usable(chip_id or so_far.chip_id):
            return ()
        try:
            found = await self.find(chip_id, so_far)
        except BadInput:  # offline, and not in the cache
            return ()
        return (found.file,)

    def _at_hand(self, known: PlatformCertificates, chip: bytes | None) -> FoundCek | None:
        if known.cek is None:
            return None
        judged = judge_cek(known.cek, self._roots, known.cek_from_host)
        return FoundCek(judged, Origin.AT_HAND, chip) if isinstance(judged, SignedCek) else None

    def _cached(self, host_cek: bytes | None, chip: bytes | None) -> FoundCek | None:
        """By key where the key is known: a host may say any chip id, but not have any key."""
        if self._cache is None:
            return None
        cek: SignedCek | None = None
        if host_cek is not None:
            cek = self._cache.by_key(host_cek)
        elif chip is not None and is_usable(chip):
            cek = self._cache.by_chip(chip)
        return FoundCek(cek, Origin.CACHE, chip) if cek is not None else None

    async def _ask(self, service: KeyService, chip: bytes, host_cek: bytes | None) -> FoundCek:
        self._announce(service.privacy_notice)
        try:
            cek = await service.cek(chip, host_cek)
        except KeyServiceError as error:
            raise _refused_if_other_key(error) from None
        return FoundCek(cek, Origin.KEY_SERVICE, chip, self._keep(cek, chip))

    def _keep(self, cek: SignedCek, chip: bytes) -> str | None:
        """Keep a verified CEK; what went wrong with that is no reason to do without it."""
        if self._cache is None:
            return None
        try:
            self._cache.keep(cek, chip)
        except BadInput as problem:
            return f"It could not be kept for next time: {problem.message}"
        return None

    def _may_be_amds(self, so_far: PlatformCertificates) -> bool:
        """Whether the ASK and ARK that came along, if any, are AMD's."""
        known = {
            certificate.fingerprint()
            for keys in self._roots
            for certificate in (keys.ask, keys.ark)
        }
        try:
            given = [AmdCertificate.parse(data) for data in (so_far.ask, so_far.ark) if data]
        except BadInput:
            return False
        return all(certificate.fingerprint() in known for certificate in given)


def _refused_if_other_key(error: KeyServiceError) -> WatchwordError:
    """The error itself, or a refusal: a host whose CEK is not its chip's is no fault of AMD's."""
    if error.details.get("flaw") != Flaw.OTHER_KEY:
        return error
    return VerificationRefused(
        "foreign-cek",
        "The host's CEK is not the one of the chip that it names",
        error.message,
        "Send no secret to this host: it shows a chip id and a CEK that don't belong together.",
        dict(error.details),
    )


def _not_at_hand() -> BadInput:
    return BadInput(
        "cek-not-at-hand",
        "the CEK",
        "AMD's signed copy of it is neither among the files nor in the cache, and the key"
        " service was not to be asked.",
        f"Allow the key service to be asked. {OTHER_WAYS}",
    )
