# SPDX-License-Identifier: Apache-2.0
"""Finds the launch to which a measurement belongs that was reported for another one."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Iterable, Iterator
from typing import Final

from ..errors import VerificationRefused, WatchwordError
from ..secret import Secret
from ..sev.firmware_version import FirmwareVersion
from ..sev.measurement import ReportedMeasurement, compute_measurement
from ..vault.launch_keys import keys_missing, read_launch_keys
from ..vault.vault import Vault
from .key_binding import key_binding
from .profile_plan import recorded_profile
from .record import LaunchRecord, LaunchState
from .record_seal import RecordSeal
from .store import LaunchStore

_MOST_LAUNCHES: Final = 50
_MOST_DIGESTS: Final = 20_000
_WITH_KEYS: Final = (LaunchState.PREPARED, LaunchState.VERIFIED, LaunchState.REFUSED)


class OtherLaunches:
    """The newest launches of this vault whose keys are still there."""

    def __init__(self, store: LaunchStore, seal: RecordSeal, vault: Vault) -> None:
        self._store = store
        self._seal = seal
        self._vault = vault

    def owner(
        self, own_id: str, reported: ReportedMeasurement, version: FirmwareVersion
    ) -> str | None:
        """The id of another launch of whose approved digests this is the measurement.

        At most 50 launches and 20,000 digests are tried.
        """
        newest = self._store.list(states=_WITH_KEYS, limit=_MOST_LAUNCHES + 1)
        others = [summary.id for summary in newest if summary.id != own_id]
        return next(self._owners(others, reported, version), None)

    def owners(
        self, among: Iterable[str], reported: ReportedMeasurement, version: FirmwareVersion
    ) -> tuple[str, ...]:
        """The ids of all these launches of whose approved digests this is the measurement.

        Good for finding a launch and for nothing else. At most 20,000 digests are tried.
        """
        return tuple(self._owners(among, reported, version))

    def _owners(
        self, among: Iterable[str], reported: ReportedMeasurement, version: FirmwareVersion
    ) -> Iterator[str]:
        left = _MOST_DIGESTS
        for record, policy, tik in self._with_keys(among):
            try:
                for digest in record.launch_digests[:left]:
                    found = compute_measurement(tik, version, policy, digest, reported.nonce)
                    if hmac.compare_digest(found, reported.measurement):
                        yield record.id
                        break
            finally:
                tik.wipe()
            left -= len(record.launch_digests)
            if left <= 0:
                break

    def _with_keys(self, among: Iterable[str]) -> Iterator[tuple[LaunchRecord, int, Secret]]:
        """Records, policies and TIKs; each TIK is wiped by whoever takes it."""
        for launch_id in among:
            # One that can't be read, or whose keys are gone, is no answer to the question.
            with contextlib.suppress(WatchwordError):
                record = self._seal.check(self._store.load(launch_id))
                policy = recorded_profile(record).policy.value
                yield record, policy, self._tik(record, policy)

    def _tik(self, record: LaunchRecord, policy: int) -> Secret:
        if record.session is None or record.certificates is None:
            raise keys_missing(record.id)
        pdh_sha256 = hashlib.sha256(record.certificates.get("pdh", b"")).hexdigest()
        binding = key_binding(record, policy, pdh_sha256, record.session.material())
        tek, tik = read_launch_keys(self._vault, record.id, binding)
        tek.wipe()
        return tik


def of_another_launch(owner: str, refusal: VerificationRefused) -> VerificationRefused:
    """The refusal that names the launch whose answer this is."""
    return VerificationRefused(
        "measurement-of-another-launch",
        "The host answered for another launch",
        f"This is the measurement of launch {owner}: answers were mixed up, or the host shows one"
        " VM in place of another.",
        f"Nothing was sent. Give this launch the answer of its own VM, and that one to {owner}.",
        {**refusal.details, "launch": owner},
    )
