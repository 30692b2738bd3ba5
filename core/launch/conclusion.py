# SPDX-License-Identifier: Apache-2.0
"""How a launch ended, as a document that its owner signs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from ..errors import VaultError, WatchwordError
from ..evidence.signing_key import SIGNING_KEY_ENTRY, new_signing_key
from ..secret import Secret
from ..sev.chain import PlatformCertificates, RootKeys
from ..vault.entries import EntryKind
from ..vault.vault import Vault
from .engine import Launch
from .fault_points import fault_point
from .record import LaunchRecord

if TYPE_CHECKING:
    from ..evidence.facts import LaunchEnd
    from ..sev.firmware_version import FirmwareVersion
    from ..sev.measurement import ReportedMeasurement
    from .profile_plan import PlannedLaunch


class Notary:
    """Makes and signs the documents of launches, with the key that the vault holds.

    The key is made when it is first needed. Raises VaultError, and BadInput for a
    document that can't be made.
    """

    def __init__(
        self, vault: Vault, roots: tuple[RootKeys, ...], random: Callable[[int], bytes]
    ) -> None:
        self._vault = vault
        self._roots = roots
        self._random = random

    def document(
        self,
        record: LaunchRecord,
        launch: Launch,
        planned: PlannedLaunch,
        end: LaunchEnd,
        ended: datetime,
        *,
        certificates: PlatformCertificates | None = None,
        error: WatchwordError | None = None,
    ) -> bytes:
        """The signed envelope (DSSE, JSON) for this end of a launch."""
        # Signing costs what everything else that a launch imports costs together.
        from ..evidence.envelope import sign_statement  # noqa: PLC0415
        from ..evidence.facts import HandedOver  # noqa: PLC0415
        from ..evidence.statement import statement  # noqa: PLC0415
        from .evidence_of import LaunchReport, evidence_facts  # noqa: PLC0415

        packet = record.packet
        report = LaunchReport(
            end=end,
            begun=datetime.fromisoformat(record.created),
            ended=ended,
            error=error,
            certificates=certificates,
            guest=record.guest,
            profile_name=record.guest,
            profile_sha256=record.order.profile_sha256,
            host=record.host or None,
            # It is stored before it is sent: nobody can prove that it was not.
            handed_over=HandedOver.YES if record.handed_over else HandedOver.MAYBE,
            packet_sha256=None if packet is None else packet.sha256,
            launch_digest=record.matched_digest,
            matched=_matched(record),
            cmdlines=tuple(line.text for line in planned.profile.cmdline if line.text),
        )
        facts = evidence_facts(_completed(record, launch), planned.plan, report, self._roots)
        key = self._key()
        try:
            return sign_statement(statement(facts), key)
        finally:
            key.wipe()

    def _key(self) -> Secret:
        try:
            return self._vault.get(SIGNING_KEY_ENTRY)
        except VaultError as error:
            if error.code != "entry-missing":
                raise
        key = new_signing_key(self._random)
        try:
            self._vault.add(SIGNING_KEY_ENTRY, EntryKind.SIGNING_KEY, key)
        except VaultError as error:
            if error.code != "entry-exists":
                raise
        finally:
            key.wipe()
        fault_point("signing-key-in-vault")
        return self._vault.get(SIGNING_KEY_ENTRY)


def _matched(record: LaunchRecord) -> tuple[ReportedMeasurement, FirmwareVersion] | None:
    """What was verified, in whatever process: a refusal at an earlier step does not undo it."""
    measured = record.measured
    if measured is None or record.matched_digest is None:
        return None
    return measured.value(), measured.version()


def _completed(record: LaunchRecord, launch: Launch) -> Launch:
    """The launch with what was sealed, also where the step that tells of it did not end."""
    if record.packet is None or "secret" in launch.facts:
        return launch
    told = {
        "secrets": list(record.packet.secrets),
        "packet_sha256": record.packet.sha256,
    }
    return launch.establish("secret", told)
