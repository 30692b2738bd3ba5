# SPDX-License-Identifier: Apache-2.0
"""What a person has to decide for a watch: a folder with a file for each question and decision.

    ID.json           {"format": 1, "id": ID, "about": "first-firmware", "guest": NAME,
                       "firmware_sha256": HEX, "launch": ID, "host": URL, "asked": TIME}
    ID.decision.json  {"format": 1, "id": ID, "allow": true}

A decision counts if its file, and the folder, are the watch's own user's and nobody else can
write there; ID says for which guest and which image, so that it is good for no other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..bounded_json import parse_json
from ..errors import BadInput
from ..file_writing import shown_path
from ..files import make_folder, read_file, write_file
from .watch_errors import approvals_unusable

MOST_QUESTIONS: Final = 1000
_FIELD: Final = "the folder of approvals"
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_LARGEST: Final = 8192
_ABOUT: Final = "first-firmware"
_DECISION: Final = ".decision.json"
_QUESTION: Final = ".json"


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """A question to the owner, as the watch wrote it down.

    ``firmware_sha256``  the image (hex) that no launch has verified before; it is approved
    in the guest's profile
    ``launch_id``, ``host``, ``asked``  which VM was the first to wait, where, since when (UTC)
    ``decision``         what was decided, None while it is open
    """

    id: str
    guest: str
    firmware_sha256: str
    launch_id: str
    host: str
    asked: str
    decision: bool | None

    def as_json(self) -> dict[str, object]:
        """The question with stable field names."""
        return {
            "id": self.id,
            "about": _ABOUT,
            "guest": self.guest,
            "firmware_sha256": self.firmware_sha256,
            "launch": self.launch_id,
            "host": self.host,
            "asked": self.asked,
            "decision": self.decision,
        }


def approval_id(guest: str, firmware_sha256: str) -> str:
    """32 hex digits that stand for this guest and this image."""
    words = f"watchword first firmware\0{guest}\0{firmware_sha256}"
    return hashlib.sha256(words.encode()).hexdigest()[:32]


def request_approval(
    folder: Path, guest: str, firmware_sha256: str, *, launch_id: str, host: str, asked: str
) -> str:
    """Write the question down, unless it is there; its id.

    Raises UsageError ``approvals-not-private``, and BadInput ``too-many-approvals``,
    ``bad-folder`` or ``file-not-written``.
    """
    name = approval_id(guest, firmware_sha256)
    _own_folder(folder)
    path = folder / f"{name}{_QUESTION}"
    with _in_reach(folder):
        asked_before = path.exists()
    if not asked_before:
        if len(_question_ids(folder)) >= MOST_QUESTIONS:
            raise _too_many(folder)
        pending = PendingApproval(name, guest, firmware_sha256, launch_id, host, asked, None)
        told = {key: value for key, value in pending.as_json().items() if key != "decision"}
        write_file(path, _json({"format": 1, **told}), field=_FIELD)
    return name


def pending_approvals(folder: Path, *, decided: bool = False) -> tuple[PendingApproval, ...]:
    """The open questions, the oldest first; with ``decided`` those that were answered, too.

    What can't be read as a question is left out. Raises UsageError ``approvals-not-private``
    for a folder in which others can write.
    """
    if not _is_there(folder):
        return ()
    _own_folder(folder)
    found = [one for name in _question_ids(folder) if (one := _question(folder, name)) is not None]
    found.sort(key=lambda one: (one.asked, one.id))
    return tuple(one for one in found if decided or one.decision is None)


def decide(folder: Path, approval: str, *, allow: bool) -> None:
    """Allow or refuse what a question is about; a later decision takes an earlier one's place.

    Raises BadInput ``no-such-approval``, and as :func:`request_approval`.
    """
    _own_folder(folder)
    if not _ID.fullmatch(approval) or _question(folder, approval) is None:
        raise BadInput(
            "no-such-approval",
            "the id of the approval",
            f"Nothing of this id waits for a decision in {folder}.",
            "See what waits: `watchword --watch SETTINGS --approvals`.",
        )
    decision = {"format": 1, "id": approval, "allow": allow}
    write_file(folder / f"{approval}{_DECISION}", _json(decision), field=_FIELD)


def decision_of(folder: Path, guest: str, firmware_sha256: str) -> bool | None:
    """What was decided for this guest and image; None if nothing was.

    Raises UsageError ``approvals-not-private`` for a decision that others could have made.
    """
    if not _is_there(folder):
        return None
    _own_folder(folder)
    return _decision(folder, approval_id(guest, firmware_sha256))


def all_decided(folder: Path | None, approvals: Iterable[str]) -> bool:
    """Whether there is a decision to look at, or trouble, for each of these questions."""
    if folder is None:
        return True
    try:
        return all((folder / f"{name}{_DECISION}").exists() for name in approvals)
    except OSError:  # whoever looks is told
        return True


# -- files ---------------------------------------------------------------------------


@contextlib.contextmanager
def _in_reach(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        why = os.strerror(fault.errno or 0)
        raise approvals_unusable(f"{shown_path(folder)} can't be looked into: {why}.") from None


def _is_there(folder: Path) -> bool:
    with _in_reach(folder):
        return folder.exists()


def _own_folder(folder: Path) -> None:
    make_folder(folder, _FIELD)
    with _in_reach(folder):
        status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise approvals_unusable(f"{folder} is no folder, or a link to one.")
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise approvals_unusable(f"Others than you can write in {folder}.")


def _question_ids(folder: Path) -> tuple[str, ...]:
    with _in_reach(folder), os.scandir(folder) as entries:
        names = (entry.name.removesuffix(_QUESTION) for entry in entries)
        return tuple(name for name in names if _ID.fullmatch(name))


def _question(folder: Path, name: str) -> PendingApproval | None:
    try:
        value = _read(folder / f"{name}{_QUESTION}")
    except BadInput:
        return None
    guest, sha256 = _text(value, "guest"), _text(value, "firmware_sha256")
    if approval_id(guest, sha256) != name:
        return None
    launch_id, host, asked = (_text(value, key) for key in ("launch", "host", "asked"))
    decision = _decision(folder, name)
    return PendingApproval(name, guest, sha256, launch_id, host, asked, decision)


def _text(value: Mapping[str, object], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""


def _decision(folder: Path, name: str) -> bool | None:
    path = folder / f"{name}{_DECISION}"
    with _in_reach(folder):
        try:
            status = path.lstat()
        except FileNotFoundError:
            return None
    private = stat.S_ISREG(status.st_mode) and not status.st_mode & 0o077
    if not private or status.st_uid != os.geteuid() or status.st_nlink != 1:
        raise approvals_unusable(f"{path} is not a file of yours alone (mode 600).")
    value = _read(path)
    allow = value.get("allow")
    if value.get("id") != name or not isinstance(allow, bool):
        raise approvals_unusable(f"{path} is no decision about what its name says.")
    return allow


def _read(path: Path) -> Mapping[str, object]:
    """The object in a file that is no link."""
    data = read_file(
        path, str(path), _LARGEST, opener=lambda place, flags: os.open(place, flags | os.O_NOFOLLOW)
    )
    try:
        value = parse_json(data.decode(), str(path), deepest=2)
    except UnicodeDecodeError:
        value = None
    if not isinstance(value, dict) or value.get("format") != 1:
        raise BadInput("bad-json", str(path), "It is not what belongs there.", "Remove it.")
    return value


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


def _too_many(folder: Path) -> BadInput:
    return BadInput(
        "too-many-approvals",
        _FIELD,
        f"{MOST_QUESTIONS} questions are in {folder}.",
        "Decide them, and remove the files of those that are of no interest any more.",
    )
