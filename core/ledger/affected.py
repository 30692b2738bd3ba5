# SPDX-License-Identifier: Apache-2.0
"""Which launches, and which secrets, a weakness concerns that became known later."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from ..errors import UsageError, VerificationRefused
from ..sev.firmware_version import FirmwareVersion
from .criteria import Criteria, LaunchFacts
from .entries import EntryKind, LedgerEntry, is_hash
from .ledger import Ledger

_RELEASING: Final = frozenset(
    (
        EntryKind.PACKET_SEALED,
        EntryKind.SECRET_HANDED_OVER,
        EntryKind.HANDED_OVER_UNCONFIRMED,
        EntryKind.LAUNCH_RUNNING,
        EntryKind.REPORT_VERIFIED,
        EntryKind.REPORT_REFUSED,
        EntryKind.GUEST_STOPPED,
    )
)
"""Only what these entries name was given away. A packet counts from its sealing: it is
stored before it is sent, and nobody can prove that it was not."""
_HANDING_OVER: Final = frozenset(
    (EntryKind.PACKET_SEALED, EntryKind.SECRET_HANDED_OVER, EntryKind.HANDED_OVER_UNCONFIRMED)
)
_OF_IMAGES: Final = frozenset((EntryKind.IMAGE_BUILT, EntryKind.IMAGE_REKEYED))
_REFUSING: Final = frozenset((EntryKind.PLATFORM_REFUSED, EntryKind.LAUNCH_REFUSED))


@dataclass(frozen=True, slots=True)
class GivenSecret:
    """A secret by name: where it went, which vault entry it came from, its size in bytes.

    None for what was not recorded; ``test`` marks one of no worth.
    """

    name: str | None
    guid: str | None
    entry: str | None
    size: int | None
    test: bool

    def as_json(self) -> dict[str, object]:
        """The secret with stable field names."""
        return {
            "name": self.name,
            "guid": self.guid,
            "entry": self.entry,
            "size": self.size,
            "test": self.test,
        }


@dataclass(frozen=True, slots=True)
class AffectedLaunch:
    """One launch of the answer.

    ``launch_id``      None for an entry that belongs to no launch
    ``first``, ``last``  its first and its newest entry
    ``secrets``        what it was given; empty also where an entry tells of a packet without
    saying what was in it
    ``refused``        whether any step of it was refused
    ``keys_exported``  whether TEK and TIK left the program
    """

    launch_id: str | None
    guest: str | None
    host: str | None
    simulated: bool
    first: LedgerEntry
    last: LedgerEntry
    secrets: tuple[GivenSecret, ...]
    refused: bool
    keys_exported: bool

    def as_json(self) -> dict[str, object]:
        """The launch with stable field names."""
        return {
            "launch": self.launch_id,
            "guest": self.guest,
            "host": self.host,
            "simulated": self.simulated,
            "begun": self.first.time,
            "last": self.last.time,
            "last_entry": self.last.kind.value,
            "sequence": self.last.sequence,
            "secrets": [secret.as_json() for secret in self.secrets],
            "refused": self.refused,
            "keys_exported": self.keys_exported,
        }


@dataclass(frozen=True, slots=True)
class AffectedImage:
    """An image whose boot key was among the secrets that launches were given.

    ``path``      where it lay when it was last recorded
    ``replaced``  whether its key was replaced after the last of those launches
    """

    entry: str
    luks_uuid: str
    path: str | None
    replaced: bool

    def as_json(self) -> dict[str, object]:
        """The image with stable field names."""
        return {
            "entry": self.entry,
            "luks_uuid": self.luks_uuid,
            "path": self.path,
            "replaced": self.replaced,
        }


@dataclass(frozen=True, slots=True)
class Affected:
    """The answer, each launch in one list.

    ``given``           were given secrets, or a packet for them was sealed
    ``refused``         were refused, and given nothing
    ``without_secret``  came to no secret, without having been refused
    ``undecided``       were given secrets, and their entries don't say what is asked for; or
    were given nothing, and only the host's unverified word says it
    ``fault``           why the ledger can't be relied on, None if its chain holds
    ``images``          those whose boot key may be known: of launches of the first list and
    the last, and of an entry that is searched for
    """

    criteria: Criteria
    given: tuple[AffectedLaunch, ...]
    refused: tuple[AffectedLaunch, ...]
    without_secret: tuple[AffectedLaunch, ...]
    undecided: tuple[AffectedLaunch, ...]
    fault: VerificationRefused | None
    images: tuple[AffectedImage, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The answer with stable field names."""
        return {
            "searched": self.criteria.as_json(),
            "given": [launch.as_json() for launch in self.given],
            "refused": [launch.as_json() for launch in self.refused],
            "without_secret": [launch.as_json() for launch in self.without_secret],
            "undecided": [launch.as_json() for launch in self.undecided],
            "images": [image.as_json() for image in self.images],
        }


@dataclass(slots=True)
class _Story:
    """What the entries of one launch tell, as they come."""

    first: LedgerEntry
    last: LedgerEntry
    facts: LaunchFacts = field(default_factory=LaunchFacts)
    guest: str | None = None
    host: str | None = None
    secrets: dict[GivenSecret, None] = field(default_factory=dict)
    firmware_measured: bool = False
    handed_over: bool = False
    refused: bool = False
    keys_exported: bool = False

    def hear(self, entry: LedgerEntry) -> None:
        self.last = entry
        self.guest = _text(entry.body, "guest") or self.guest
        self.host = _text(entry.body, "host") or self.host
        self.refused |= entry.kind in _REFUSING
        self.keys_exported |= entry.kind is EntryKind.KEYS_EXPORTED
        if entry.kind in _RELEASING:
            self.secrets |= dict.fromkeys(_secrets(entry.body))
            self.facts.entries |= {given.entry for given in self.secrets if given.entry}
            self.handed_over |= entry.kind in _HANDING_OVER or bool(self.secrets)
        _add_facts(self.facts, entry.body)
        self._hear_of_firmware(entry)

    def _hear_of_firmware(self, entry: LedgerEntry) -> None:
        """All that are approved may have been loaded, until a packet says which one was."""
        told = entry.body.get("firmware_sha256")
        found = {value for value in told if is_hash(value)} if isinstance(told, list) else set()
        if entry.kind in _HANDING_OVER and found:
            self.facts.firmware, self.firmware_measured = found, True
        elif not self.firmware_measured:
            self.facts.firmware |= found

    def told(self) -> AffectedLaunch:
        return AffectedLaunch(
            self.first.launch_id,
            self.guest,
            self.host,
            self.first.simulated or self.last.simulated,
            self.first,
            self.last,
            tuple(self.secrets),
            self.refused,
            self.keys_exported,
        )


def affected(
    ledger: Ledger | None,
    *,
    cek: str | None = None,
    generation: str | None = None,
    firmware: str | None = None,
    build: str | None = None,
    advisory: str | None = None,
    entry: str | None = None,
) -> Affected:
    """The launches that had to do with all that is named; Criteria.parse says how to name it.

    ``ledger`` is None where there are no records at all. One whose chain does not hold is
    searched all the same, as far as it can be read, and ``fault`` says so. Raises as
    Criteria.parse does, and BadInput as Records does.
    """
    criteria = Criteria.parse(
        cek=cek,
        generation=generation,
        firmware=firmware,
        build=build,
        advisory=advisory,
        entry=entry,
    )
    if ledger is None:
        return sort_launches(criteria, ())
    fault: VerificationRefused | None = None
    try:
        ledger.verify()
    except VerificationRefused as refusal:
        fault = refusal
    return sort_launches(criteria, ledger.entries(skip_damaged=True), fault)


def sort_launches(
    criteria: Criteria, entries: Iterable[LedgerEntry], fault: VerificationRefused | None = None
) -> Affected:
    """The answer to the criteria that these entries give."""
    stories: dict[str | int, _Story] = {}
    images: dict[str, LedgerEntry] = {}
    for entry in entries:
        if entry.kind in _OF_IMAGES:
            if (volume := _text(entry.body, "luks_uuid")) is not None:
                images[volume] = entry
            continue
        key = entry.sequence if entry.launch_id is None else entry.launch_id
        stories.setdefault(key, _Story(entry, entry)).hear(entry)
    lists: dict[_Place, list[AffectedLaunch]] = {place: [] for place in _Place}
    for story in stories.values():
        lists[_place(story, criteria)].append(story.told())
    concerned = (*lists[_Place.GIVEN], *lists[_Place.UNDECIDED])
    return Affected(
        criteria,
        given=tuple(lists[_Place.GIVEN]),
        refused=tuple(lists[_Place.REFUSED]),
        without_secret=tuple(lists[_Place.WITHOUT_SECRET]),
        undecided=tuple(lists[_Place.UNDECIDED]),
        fault=fault,
        images=tuple(_images(images, concerned, criteria.entry)),
    )


def _images(
    images: Mapping[str, LedgerEntry], launches: Iterable[AffectedLaunch], searched: str | None
) -> Iterator[AffectedImage]:
    """Images by the newest entry of each; 0 stands for an entry that no launch was given."""
    newest = {} if searched is None else {searched: 0}
    for launch in launches:
        for secret in launch.secrets:
            if secret.entry is not None:
                newest[secret.entry] = max(newest.get(secret.entry, 0), launch.last.sequence)
    for volume, entry in images.items():
        name = _text(entry.body, "entry")
        if name is not None and name in newest:
            rekeyed = entry.kind is EntryKind.IMAGE_REKEYED
            replaced = rekeyed and entry.sequence > newest[name]
            yield AffectedImage(name, volume, _text(entry.body, "path"), replaced)


class _Place(Enum):
    """Where a launch stands in the answer."""

    NOWHERE = auto()
    GIVEN = auto()
    REFUSED = auto()
    WITHOUT_SECRET = auto()
    UNDECIDED = auto()


def _place(story: _Story, criteria: Criteria) -> _Place:
    concerned = criteria.judge(story.facts)
    if story.handed_over and concerned is not False:
        return _Place.GIVEN if concerned else _Place.UNDECIDED
    if concerned is None and criteria.judge(story.facts.with_claims()):
        return _Place.UNDECIDED
    if not concerned:
        return _Place.NOWHERE
    return _Place.REFUSED if story.refused else _Place.WITHOUT_SECRET


def _add_facts(facts: LaunchFacts, body: Mapping[str, object]) -> None:
    """Take what an entry says; what is of another type than it should be says nothing."""
    cek, generation = _text(body, "cek_sha256"), _text(body, "generation")
    if cek is not None and is_hash(cek):
        facts.ceks.add(cek)
    if generation is not None:
        facts.generations.add(generation)
    for prefix, versions in (("", facts.versions), ("claimed_", facts.claimed)):
        with contextlib.suppress(UsageError):
            numbers = [body.get(prefix + name) for name in ("api_major", "api_minor", "build")]
            major, minor, build = (n if type(n) is int else -1 for n in numbers)
            versions.add(FirmwareVersion(major, minor, build))


def _secrets(body: Mapping[str, object]) -> Iterator[GivenSecret]:
    given = body.get("secrets")
    for secret in given if isinstance(given, list) else ():
        if isinstance(secret, dict):
            size = secret.get("size")
            yield GivenSecret(
                _text(secret, "name"),
                _text(secret, "guid"),
                _text(secret, "entry"),
                size if type(size) is int else None,
                secret.get("test") is True,
            )


def _text(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None
