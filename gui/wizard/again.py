# SPDX-License-Identifier: Apache-2.0
"""A new launch made from one that is over: the same answers, and only what was chosen otherwise.

Knows no Qt. What blocks here reads files; it may be called in any thread but the GUI's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from watchword.core.errors import UsageError
from watchword.core.guest.approving import approve
from watchword.core.guest.document import profile_from_document, profile_text, read_profile
from watchword.core.guest.profile import GuestProfile
from watchword.core.guest.store import ProfileStore, StoredProfile, profiles_folder
from watchword.core.launch.orders import LaunchOrder
from watchword.core.launch.record import LaunchRecord
from watchword.core.sev.certificates import AmdCertificate
from watchword.core.sev.diagnosis_contents import respelled

Document = dict[str, Any]
_UNTOLD: Final = ("approved", "size")
"""What is of no interest to somebody who compares: when a file was looked at, and its length."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of the profile: its name there, and its values in words."""

    key: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class NewProfile:
    """The profile of the new launch, and in what it differs from that of the refused one.

    ``stored``   as it is kept now; ``profile`` is to take its place, if it is another
    """

    stored: StoredProfile
    profile: GuestProfile
    differences: tuple[Difference, ...]

    def keep(self) -> GuestProfile:
        """Put the new profile in the old one's place; raises as ProfileStore.replace."""
        if self.profile == self.stored.profile:
            return self.profile
        store = ProfileStore(self.stored.path.parent)
        return store.replace(self.stored, profile_text(self.profile).encode())


def new_profile(record: LaunchRecord, changes: Mapping[str, object]) -> NewProfile:
    """The guest's profile as it is kept now, with these fields changed; nothing is written.

    ``changes``  as a diagnosis names them: see ``Deviation.profile``
    A file that is named is looked at, and approved as it is at this moment. Raises BadInput
    ``no-such-guest`` and as ``approve``, ProfileInvalid, and UsageError
    ``several-command-lines``.
    """
    stored = ProfileStore(profiles_folder()).load(record.guest)
    document = stored.profile.to_document()
    for key, value in changes.items():
        document[key] = _changed(stored.profile, key, value)
    profile = profile_from_document(document, f"guest profile {record.guest}")
    if "firmware" in changes:
        profile, _ = approve(profile, ("firmware",), datetime.now(UTC))
    launched = read_profile(record.order.profile.encode(), f"guest profile {record.guest}")
    return NewProfile(stored, profile, differences(launched, profile))


def order_again(record: LaunchRecord, profile: GuestProfile) -> LaunchOrder:
    """The order of a recorded launch for this profile; its waivers were for that launch alone."""
    order = record.order
    return LaunchOrder(
        profile=profile,
        host=record.host or None,
        ask_host=order.ask_host,
        certificate_files=order.certificate_files,
        trusted_roots=tuple(
            AmdCertificate.parse(root, "the trusted root") for root in order.trusted_roots
        ),
        accept_platform=record.accepted_platform,
        require_pinned=order.require_pinned,
        simulated=record.simulated,
    )


def _changed(profile: GuestProfile, key: str, value: object) -> object:
    if key == "firmware":
        return [{"path": str(value)}]
    if key == "cmdline":
        return [_spelled_otherwise(profile, cast("int", value))]
    return value


def _spelled_otherwise(profile: GuestProfile, number: int) -> object:
    lines = [line.text for line in profile.cmdline] or [""]
    if len(lines) != 1 or lines[0] is None:
        raise UsageError(
            "several-command-lines",
            "It is not known which command line is meant",
            f"Guest profile “{profile.name}” has more than one, or knows it by its hash alone.",
            "Change the one that is meant on the page Guests, then start a new launch.",
        )
    text = respelled(lines[0], number)
    return text if isinstance(text, str) else {"sha256": text.hex()}


def differences(before: GuestProfile, after: GuestProfile) -> tuple[Difference, ...]:
    """The fields in which two profiles differ, in the order of the second one's document."""
    old, new = before.to_document(), after.to_document()
    found = []
    for key in (*new, *(key for key in old if key not in new)):
        was, is_now = (in_words(one.get(key), quoted=key == "cmdline") for one in (old, new))
        if was != is_now:
            found.append(Difference(key, was, is_now))
    return tuple(found)


def in_words(value: object, *, quoted: bool = False) -> str:
    """A value of a profile's document; in a ``quoted`` text every blank and line break is seen."""
    if value is None:
        return "—"
    if isinstance(value, list | tuple):
        words = [in_words(one, quoted=quoted) for one in value]
        return ("\n" if any("\n" in one for one in words) else ", ").join(words)
    if isinstance(value, Mapping):
        told = {key: str(item) for key, item in value.items() if key not in _UNTOLD}
        parts = [told.pop("path")] if "path" in told else []
        parts += [f"SHA-256 {told.pop('sha256')}"] if "sha256" in told else []
        return "\n".join([*parts, *(f"{key}: {item}" for key, item in told.items())])
    if isinstance(value, str) and quoted:
        return json.dumps(value, ensure_ascii=False)
    return str(value)
