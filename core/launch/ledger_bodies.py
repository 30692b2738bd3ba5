# SPDX-License-Identifier: Apache-2.0
"""What the ledger is told of a launch: names and hashes that later searches ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..errors import WatchwordError
from ..guest.profile import GuestProfile
from ..sev.digest import LaunchDigest
from ..sev.platform import Platform
from .record import LaunchRecord

_LONGEST_TEXT = 1000
_CHAIN_FIELDS = ("generation", "cek_sha256", "pdh_sha256", "chip_id")
_SECRET_FIELDS = ("name", "guid", "entry", "size", "test")


def launch_body(
    record: LaunchRecord,
    profile: GuestProfile,
    digests: Iterable[LaunchDigest],
    platform: Platform | None,
    *,
    waivers: Mapping[str, str] | None = None,
    error: WatchwordError | None = None,
) -> dict[str, object]:
    """The body of an entry about this launch, as far as things are known.

    ``digests``   the approved ones: the one that matched says which firmware it was
    ``platform``  as it was judged in this process
    ``waivers``   typed reasons by step, beside those that are recorded
    """
    return {
        "guest": record.guest,
        "host": record.host,
        "profile_sha256": record.order.profile_sha256,
        "policy": profile.policy.value,
        **_platform(platform, error),
        **_measured(record),
        "firmware_sha256": _firmware(record, profile, digests),
        **_packet(record),
        "waivers": {**record.launch().waivers, **(waivers or {})},
        **({} if error is None else {"error": _error(error)}),
    }


def _platform(platform: Platform | None, error: WatchwordError | None) -> dict[str, object]:
    """The platform as judged; of a refused one what its refusal says."""
    if platform is not None:
        found = platform.report.as_json()
        return {"platform": platform.name, **{name: found[name] for name in _CHAIN_FIELDS}}
    told = {} if error is None else error.details
    if told.get("cek_sha256") is None:
        return {"platform": "not-checked-here"}
    return {"platform": "refused", **{name: told.get(name) for name in _CHAIN_FIELDS}}


def _measured(record: LaunchRecord) -> dict[str, object]:
    measured = record.measured
    if measured is None:
        return {}
    reported = measured.value()
    matched = record.matched_digest
    # The numbers are true only inside a measurement that was verified.
    whose = "claimed_" if matched is None else ""
    return {
        f"{whose}api_major": measured.api_major,
        f"{whose}api_minor": measured.api_minor,
        f"{whose}build": measured.build,
        "measurement": reported.measurement.hex(),
        "nonce": reported.nonce.hex(),
        "launch_digest": None if matched is None else matched.hex(),
    }


def _firmware(
    record: LaunchRecord, profile: GuestProfile, digests: Iterable[LaunchDigest]
) -> list[str]:
    """The firmware that was measured; until that is known, all that are approved."""
    for digest in digests:
        # One that was taken from the record says nothing of its parts.
        if digest.value == record.matched_digest and digest.components:
            return [part.sha256.hex() for part in digest.components if part.name == "firmware"]
    return [file.sha256 for file in profile.firmware if file.sha256 is not None]


def _packet(record: LaunchRecord) -> dict[str, object]:
    if record.packet is None:
        return {"secrets": []}
    secrets = [_secret(note) for note in record.packet.secrets]
    return {"secrets": secrets, "packet_sha256": record.packet.sha256}


def _secret(note: Mapping[str, object]) -> dict[str, object]:
    return {name: note.get(name) for name in _SECRET_FIELDS}


def _error(error: WatchwordError) -> dict[str, object]:
    """Of a host's own words only what can stand in a record."""
    message = error.message.encode("utf-8", "backslashreplace").decode()
    return {"code": error.code, "title": error.title, "message": message[:_LONGEST_TEXT]}
