# SPDX-License-Identifier: Apache-2.0
"""Notes in the ledger that TEK and TIK leave the program, before they do.

Whoever has them and the packet can take the secret, even years later: so it has to be
known which launches this is true of. Where the note can't be made nothing is exported.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import BadInput

if TYPE_CHECKING:
    from ..sev.platform import Platform
    from ..sev.session import LaunchMaterial, LaunchSession

_OF_A_LAUNCH: Final = re.compile(r"launch/([A-Za-z0-9][A-Za-z0-9._-]{0,63})/[a-z]+")
_LONGEST_NAME: Final = 1000


def exported_for(
    platform: Platform,
    session: LaunchSession,
    material: LaunchMaterial,
    folder: Path,
    names: Sequence[str],
) -> dict[str, object]:
    """What is known of the keys of a new session: for whom they are, and where they go."""
    report, policy = platform.report, session.policy
    waivers = {"platform": platform.waiver, "policy": policy.waiver}
    return {
        "exported_by": "session create",
        "platform": platform.name,
        "generation": report.generation,
        "cek_sha256": report.cek_sha256,
        "pdh_sha256": report.pdh_sha256,
        "chip_id": report.chip_id,
        "policy": policy.policy.value,
        "blob_sha256": hashlib.sha256(material.blob.build()).hexdigest(),
        "godh_sha256": hashlib.sha256(material.godh.build()).hexdigest(),
        "folder": _recordable(str(folder.absolute())),
        "files": _recordable(", ".join(names)),
        "waivers": {step: reason for step, reason in waivers.items() if reason is not None},
    }


def exported_from_vault(entry: str, where: str) -> tuple[str | None, dict[str, object]]:
    """The launch whose key a vault entry is, if it is one's, and what is known of it."""
    match = _OF_A_LAUNCH.fullmatch(entry)
    body: dict[str, object] = {"exported_by": "vault show", "entry": entry, "where": where}
    return (None if match is None else match[1]), body


def exported_copy(folder: Path, names: Sequence[str]) -> dict[str, object]:
    """What is known of keys that were given in files, and are written in another form."""
    return {
        "exported_by": "convert",
        "folder": _recordable(str(folder.absolute())),
        "files": _recordable(", ".join(names)),
    }


def record_exported_keys(body: Mapping[str, object], launch_id: str | None = None) -> None:
    """Append the entry; when this returns, it is on the disk.

    Raises BadInput as Records does, with a remedy for somebody who wants keys, and
    VerificationRefused ``ledger-broken``; then nothing may be exported.
    """
    from ..ledger.entries import EntryKind  # noqa: PLC0415 - a database, for exports alone
    from ..ledger.ledger import Ledger  # noqa: PLC0415
    from ..records.database import Records, records_folder  # noqa: PLC0415

    try:
        with Records.open(records_folder()) as records:
            Ledger(records).append(EntryKind.KEYS_EXPORTED, launch_id, body)
    except BadInput as error:
        raise _not_recorded(error) from None


def _recordable(text: str) -> str:
    """A path as the ledger takes it, whatever bytes its name is made of."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:_LONGEST_NAME]


def _not_recorded(error: BadInput) -> BadInput:
    return BadInput(
        error.code,
        error.field,
        f"{error.message} That TEK and TIK leave the program has to be recorded first, so nothing"
        " was written.",
        f"{error.remedy} WATCHWORD_HOME names another folder for the records.",
        dict(error.details),
    )
