# SPDX-License-Identifier: Apache-2.0
"""The owner's own act: looking at files as they are now and making them what is approved."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import BadInput, UsageError
from .approvals import APPROVABLE, OCA, entries_of, look_at
from .document import profile_from_document
from .profile import ApprovedFile, GuestProfile
from .rules import FILES

ALL = "all"


@dataclass(frozen=True, slots=True)
class Approval:
    """One thing that was approved: the hash that stood there (None: none), and the new one."""

    component: str
    label: str
    old_sha256: str | None
    new_sha256: str
    size: int | None

    @property
    def changed(self) -> bool:
        """Whether another content counts now than before."""
        return self.old_sha256 not in (None, self.new_sha256)

    def as_json(self) -> dict[str, object]:
        """The approval with stable field names."""
        return {
            "component": self.component,
            "path": self.label,
            "old_sha256": self.old_sha256,
            "new_sha256": self.new_sha256,
            "size": self.size,
            "changed": self.changed,
        }


def chosen_components(words: Collection[str]) -> tuple[str, ...]:
    """The components that these words name, ``all`` for every one; UsageError for others."""
    unknown = [word for word in words if word not in (*APPROVABLE, ALL)]
    if unknown:
        raise UsageError(
            "no-such-component",
            "There is no such thing to approve",
            f"{unknown[0][:40]!r} is none of {', '.join(APPROVABLE)} and all.",
            "Name the component, not the file: --approve firmware.",
        )
    return APPROVABLE if ALL in words else tuple(c for c in APPROVABLE if c in words)


def approve(
    profile: GuestProfile,
    components: Collection[str],
    now: datetime,
    *,
    keep_old: bool = False,
) -> tuple[GuestProfile, tuple[Approval, ...]]:
    """The profile with what its paths hold now as what is approved, and what that changed.

    Values that have no path are approved as they stand. An approval that holds already keeps
    its time. ``keep_old`` keeps former hashes beside the new ones, where a hash is enough.
    Raises BadInput for the files that can't be used, all of them named, and ProfileInvalid
    where an old hash alone can't be kept. Nothing is written.
    """
    looked = [
        _look(component, entry, now, keep_old=keep_old)
        for component, _, entry in entries_of(profile)
        if component in components
    ]
    document = profile.to_document()
    for component in {one.component for one in looked}:
        entries = [entry for one in looked if one.component == component for entry in one.entries]
        document[component] = entries
    if OCA in components and profile.oca is not None and profile.oca.path is not None:
        looked.append(_look_at_oca(profile.oca.path, profile.oca.sha256))
        document[OCA] = looked[-1].entries[0]
    if problems := [one.problem for one in looked if one.problem is not None]:
        raise _unusable(profile.name, problems)
    approvals = tuple(one.approval for one in looked if one.approval is not None)
    return profile_from_document(document, f"guest profile {profile.name}"), approvals


def accept_claims(profile: GuestProfile, now: datetime) -> GuestProfile:
    """The profile with every hash in it approved as it stands, whatever the files hold."""
    return _restamped(profile, now)


def withdraw_approvals(profile: GuestProfile) -> GuestProfile:
    """The profile with its hashes as claims that nobody has agreed to yet."""
    return _restamped(profile, None)


def _restamped(profile: GuestProfile, moment: datetime | None) -> GuestProfile:
    document = profile.to_document()
    for component in FILES:
        for entry in document.get(component, ()):
            if moment is None:
                entry.pop("approved", None)
            elif "sha256" in entry:
                entry["approved"] = moment
    return profile_from_document(document, f"guest profile {profile.name}")


@dataclass(frozen=True, slots=True)
class _Looked:
    """What became of one entry."""

    component: str
    entries: tuple[dict[str, Any], ...]
    approval: Approval | None = None
    problem: BadInput | None = None


def _look(component: str, entry: ApprovedFile, now: datetime, *, keep_old: bool) -> _Looked:
    before = entry.model_dump(exclude_none=True)
    sha256, size = entry.sha256, entry.size
    if entry.path is not None:
        found = look_at(component, entry.path)
        if found.problem is not None:
            return _Looked(component, (before,), problem=found.problem)
        sha256, size = found.sha256, found.size
    if sha256 is None or (entry.is_approved and sha256 == entry.sha256):
        return _Looked(component, (before,))
    after: dict[str, Any] = before | {"sha256": sha256, "approved": now}
    after |= {} if size is None else {"size": size}
    entries = [after]
    if keep_old and entry.is_approved and entry.path is not None:
        entries.append({key: value for key, value in before.items() if key != "path"})
    approval = Approval(component, entry.label, entry.sha256, sha256, size)
    return _Looked(component, tuple(entries), approval)


def _look_at_oca(path: str, old: str | None) -> _Looked:
    found = look_at(OCA, path)
    if found.sha256 is None:
        return _Looked(OCA, ({},), problem=found.problem)
    entry = {"sha256": found.sha256, "path": path}
    if found.sha256 == old:
        return _Looked(OCA, (entry,))
    return _Looked(OCA, (entry,), Approval(OCA, path, old, found.sha256, found.size))


def _unusable(name: str, problems: Sequence[BadInput]) -> BadInput:
    """One error for all files that can't be used."""
    first = problems[0]
    if len(problems) == 1:
        return first
    return BadInput(
        first.code,
        f"{len(problems)} files of guest profile {name}",
        " ".join(f"{problem.field}: {problem.message}" for problem in problems),
        first.remedy,
        {"problems": [problem.as_json() for problem in problems]},
    )
