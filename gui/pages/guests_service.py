# SPDX-License-Identifier: Apache-2.0
"""Guest profiles as the window has them: listed, checked, changed and approved, without Qt.

Every method blocks, so the window calls them over the bridge, in ``asyncio.to_thread``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchword.core.cli.guest_host import host_findings, readable_host
from watchword.core.cli.new_files import NewFile, refuse_existing, write_new_files
from watchword.core.errors import BadInput, WatchwordError
from watchword.core.files import read_file
from watchword.core.guest.approvals import (
    APPROVABLE,
    OCA,
    ExaminedFile,
    FileFound,
    FileState,
    look_at,
)
from watchword.core.guest.approving import approve, withdraw_approvals
from watchword.core.guest.document import (
    LARGEST_PROFILE,
    profile_from_document,
    profile_text,
    read_profile,
)
from watchword.core.guest.lint import Severity
from watchword.core.guest.profile import ApprovedFile, GuestProfile
from watchword.core.guest.report import ProfileReport, check_profile
from watchword.core.guest.rules import FILES
from watchword.core.guest.store import ProfileStore, StoredProfile, profiles_folder

if TYPE_CHECKING:
    from watchword.core.handover.firmware_descriptors import JudgedDescriptor

Document = dict[str, Any]


class Verdict(StrEnum):
    """What a launch of the profile would come to, as far as this machine can tell."""

    GO = "go"
    WAIVER = "waiver"
    NOT_APPROVED = "not-approved"
    CHANGED = "changed"
    NO_GO = "no-go"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Guest:
    """A profile as it was found: with its report, or with why it can't be read.

    ``owner_ca``  the owner CA's file, where it is named and not approved yet
    """

    name: str
    path: str
    stored: StoredProfile | None = None
    report: ProfileReport | None = None
    error: WatchwordError | None = None
    owner_ca: ExaminedFile | None = None

    @property
    def profile(self) -> GuestProfile | None:
        """The profile, if it can be read."""
        return None if self.stored is None else self.stored.profile

    @property
    def pending(self) -> tuple[ExaminedFile, ...]:
        """The files that are not what was approved, the changed ones first."""
        files = () if self.report is None else self.report.files
        states = (FileState.CHANGED, FileState.NOT_APPROVED)
        found = [file for state in states for file in files if file.state is state]
        return (*found, self.owner_ca) if self.owner_ca is not None else tuple(found)

    @property
    def verdict(self) -> Verdict:
        """The worst that there is to say."""
        if self.report is None:
            return Verdict.UNREADABLE
        states = {file.state for file in self.report.files}
        if FileState.CHANGED in states:
            return Verdict.CHANGED
        if any(finding.code == "not-approved" for finding in self.report.findings):
            return Verdict.NOT_APPROVED
        severities = {finding.severity for finding in self.report.findings}
        if Severity.PROBLEM in severities or self.report.expected is None:
            return Verdict.NO_GO
        return Verdict.WAIVER if Severity.REFUSED in severities else Verdict.GO


class GuestService:
    """The user's profiles; ``vault_names`` gives the names of the vault's entries, if known."""

    def __init__(
        self,
        folder: Path | None = None,
        vault_names: Callable[[], Collection[str] | None] = lambda: None,
    ) -> None:
        self._folder = folder
        self._vault_names = vault_names

    @property
    def _store(self) -> ProfileStore:
        return ProfileStore(self._folder if self._folder is not None else profiles_folder())

    def all(self) -> tuple[Guest, ...]:
        """Every profile, checked against its files as they are now."""
        return tuple(self.one(name) for name in self._store.names())

    def one(self, name: str) -> Guest:
        """The profile of this name, checked; what is wrong with it is part of the answer."""
        store = self._store
        path = str(store.path(name))
        try:
            stored = store.load(name)
            report = check_profile(
                stored.profile, self._vault_names(), more=host_findings(stored.profile)
            )
        except WatchwordError as error:
            return Guest(name, path, error=error)
        return Guest(name, path, stored, report, owner_ca=_owner_ca(stored.profile))

    def vault_names(self) -> tuple[str, ...]:
        """The names of the vault's entries; none where they are not known."""
        return tuple(self._vault_names() or ())

    # -- changes -------------------------------------------------------------------

    def add(self, document: Document) -> Guest:
        """Keep a new profile; the files that it names are approved as they are now.

        Raises ProfileInvalid, and BadInput for files that can't be used.
        """
        profile = profile_from_document(document, _field(document))
        profile, _ = approve(profile, APPROVABLE, _now())
        self._store.add(profile)
        return self.one(profile.name)

    def change(self, before: StoredProfile, document: Document) -> Guest:
        """Keep a changed profile; files that are new in it are approved as they are now.

        What was approved before stays so, and a file that has changed stays changed.
        Raises as :meth:`add`, and BadInput ``guest-changed-meanwhile``.
        """
        profile = _with_new_files_approved(profile_from_document(document, _field(document)))
        if profile != before.profile:
            self._store.replace(before, profile_text(profile).encode())
        return self.one(profile.name)

    def approve(
        self, before: StoredProfile, shown: Mapping[str, str], *, keep_old: bool = False
    ) -> Guest:
        """Approve files as they are now, if they still are what was shown.

        ``shown``     SHA-256 in hex by path, as the owner has seen them
        ``keep_old``  the former hashes stay allowed too
        Raises BadInput ``changed-while-approving``.
        """
        components = {
            component
            for component in FILES
            for entry in getattr(before.profile, component)
            if entry.label in shown
        }
        owner = before.profile.oca
        components |= {OCA} if owner is not None and owner.path in shown else set()
        profile, approvals = approve(before.profile, components, _now(), keep_old=keep_old)
        for approval in approvals:
            if shown.get(approval.label) != approval.new_sha256:
                raise _changed_again(approval.label)
        self._store.replace(before, profile_text(profile).encode())
        return self.one(profile.name)

    def duplicate(self, name: str, new_name: str) -> Guest:
        """Keep a copy under another name; what was approved is approved in it too."""
        profile = self._store.load(name).profile
        self._store.add(_with(profile, name=new_name))
        return self.one(new_name)

    def remove(self, name: str) -> tuple[Guest, ...]:
        """Remove a profile; its files and secrets stay. The profiles that are left."""
        self._store.remove(name)
        return self.all()

    # -- from one owner to another ---------------------------------------------------

    def export(self, name: str, path: str, *, with_host: bool) -> Path:
        """Write a profile to a new file. Raises BadInput ``file-exists``."""
        profile = self._store.load(name).profile
        if not with_host:
            profile = _with(profile, host=None)
        out = Path(path)
        refuse_existing([out], "the file", "Name a new file.")
        write_new_files([NewFile(out, profile_text(profile).encode(), "the file")])
        return out

    def take_in(self, path: str, name: str, *, with_host: bool) -> Guest:
        """Keep a profile from a file; nothing in it is approved yet.

        ``name``  under which it is kept; its own where this is empty
        """
        given = read_profile(read_file(path, "the file", LARGEST_PROFILE), "the file")
        host = readable_host(given.host) if given.host and with_host else None
        profile = withdraw_approvals(_with(given, host=host, watch=None, name=name or given.name))
        self._store.add(profile)
        return self.one(profile.name)

    # -- firmware --------------------------------------------------------------------

    def installed_firmware(self) -> tuple[JudgedDescriptor, ...]:
        """The firmware that QEMU's descriptors name on this machine, each with GO or NO-GO."""
        from watchword.core.cli.firmware_command import load_inspection  # noqa: PLC0415 - seldom
        from watchword.core.handover.firmware_descriptors import (  # noqa: PLC0415 - seldom
            judge_installed,
            standard_folders,
        )

        return judge_installed(standard_folders(), load_inspection)


def _owner_ca(profile: GuestProfile) -> ExaminedFile | None:
    owner = profile.oca
    if owner is None or owner.path is None or owner.sha256 is not None:
        return None
    entry = ApprovedFile(path=owner.path, sha256=None, size=None, approved=None)
    return ExaminedFile(OCA, 0, entry, FileState.NOT_APPROVED, look_at(OCA, owner.path))


def _with_new_files_approved(profile: GuestProfile) -> GuestProfile:
    """The profile with approvals for the files that nobody has looked at, and for no other."""
    document = profile.to_document()
    for component in FILES:
        for entry in document.get(component, ()):
            if "sha256" not in entry:
                found = _found(component, entry["path"])
                entry |= {"sha256": found.sha256, "size": found.size, "approved": _now()}
    owner = document.get(OCA)
    if owner is not None and "sha256" not in owner:
        owner["sha256"] = _found(OCA, owner["path"]).sha256
    return profile_from_document(document, f"guest profile {profile.name}")


def _found(component: str, path: str) -> FileFound:
    found = look_at(component, path)
    if found.problem is not None:
        raise found.problem
    return found


def _with(profile: GuestProfile, **changes: Any) -> GuestProfile:
    document = {**profile.to_document(), **changes}
    kept = {key: value for key, value in document.items() if value is not None}
    return profile_from_document(kept, f"guest profile {profile.name}")


def _field(document: Document) -> str:
    return f"guest profile {str(document.get('name', ''))[:64]}"


def _now() -> datetime:
    return datetime.now(UTC)


def _changed_again(label: str) -> BadInput:
    return BadInput(
        "changed-while-approving",
        label,
        "It has changed again since its hash was shown to you. Nothing was approved.",
        "Find out who writes to it, look at it again, and approve it then.",
    )
