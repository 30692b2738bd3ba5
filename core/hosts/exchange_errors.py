# SPDX-License-Identifier: Apache-2.0
"""What can be said of an exchange by hand: what is awaited, and what is wrong with what came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..errors import AnswerPending, BadInput, HostError, UsageError, VerificationRefused
from .exchange_turns import Turn
from .host_words import visible

OPERATOR: Final = "the host's operator"

_WAITING_CODES: Final = {
    Turn.PLATFORM: "waiting-for-platform",
    Turn.MEASUREMENT: "waiting-for-measurement",
    Turn.RUNNING: "handed-over-not-confirmed",
}
_WAITING_TITLES: Final = {
    Turn.PLATFORM: "Waiting for the host's certificates",
    Turn.MEASUREMENT: "Waiting for the launch measurement",
    Turn.RUNNING: "Handed over, not confirmed",
}


def pending(
    turn: Turn,
    path: str,
    missing: Sequence[str],
    *,
    instructions: str,
    passed_over: Sequence[str] = (),
) -> AnswerPending:
    """A turn that has not come, or not whole.

    ``path`` is where it is to be put, ``missing`` what is still to come, ``instructions``
    the text that has to reach the operator first, with the folder around it;
    ``passed_over`` files in which nothing was found.
    """
    what = _listed(missing)
    message = f"{OPERATOR[:1].upper()}{OPERATOR[1:]} has to send {what}."
    if turn is Turn.RUNNING:
        message = f"The packet is written. That it arrived is not known before there is {what}."
    if passed_over:
        message += f" Nothing that helps was found in {_listed(passed_over)}."
    root = path.rpartition("/")[0]
    return AnswerPending(
        _WAITING_CODES[turn],
        _WAITING_TITLES[turn],
        message,
        f"Take {root} to {OPERATOR}, whom {instructions} tells what to do. Put the answer into "
        f"{path}, or paste its text.",
        {
            "turn": int(turn),
            "path": path,
            "from": OPERATOR,
            "missing": list(missing),
            "carry": root,
            "instructions": instructions,
            "passed_over": list(passed_over),
        },
    )


def not_running_yet(path: str, state: str) -> AnswerPending:
    """The operator answered turn 5, and the VM stands still."""
    return AnswerPending(
        _WAITING_CODES[Turn.RUNNING],
        _WAITING_TITLES[Turn.RUNNING],
        f"The host says that the VM's state is “{visible(state, 40)}”: it does not run yet.",
        f"Have the VM let run, then replace the answer in {path}, or paste a new one.",
        {"turn": int(Turn.RUNNING), "path": path, "from": OPERATOR, "state": state[:40]},
    )


def reply_of_another_launch(ours: str, theirs: str, where: str) -> VerificationRefused:
    """A reply names another launch than the one it was given for."""
    shown = visible(theirs, 64)
    return VerificationRefused(
        "reply-of-another-launch",
        "This answer belongs to another launch",
        f"{where} names launch {shown}; this is launch {ours}.",
        f"Bring the answer for launch {ours}, or give this one to launch {shown}.",
        {"launch": ours, "other_launch": shown, "where": where},
    )


def folder_taken(path: str, ours: str, theirs: str) -> UsageError:
    """The exchange folder belongs to another launch."""
    shown = visible(theirs, 64)
    return UsageError(
        "exchange-folder-taken",
        "The folder belongs to another launch",
        f"{path} is used by launch {shown}; nothing of launch {ours} was written there.",
        f"Name another folder for this launch, or go on with launch {shown}.",
        {"launch": ours, "other_launch": shown, "path": path},
    )


def turn_differs(path: str, launch_id: str) -> HostError:
    """A turn that goes out was written before, with other content."""
    return HostError(
        "exchange-turn-differs",
        "The folder holds something else for this launch already",
        f"{path} is not what launch {launch_id} has to hand over: it was changed since, or was "
        "written for other keys. It was left as it is.",
        "If the file was damaged on the way, remove it and try again; otherwise name another "
        "folder.",
        {"path": path, "launch": launch_id},
    )


def turn_not_written(path: str) -> UsageError:
    """There is no text of a turn that was not written."""
    return UsageError(
        "turn-not-written",
        "This turn was not written yet",
        f"There is nothing to hand over in {path}.",
        "Take the launch on until it is written; `watchword launch show` says where it stands.",
        {"path": path},
    )


def nothing_found(turn: Turn, where: str) -> HostError:
    """A pasted text in which nothing is that the turn asks for."""
    return unusable(
        where,
        f"Nothing in it belongs to turn {int(turn)}, which brings {turn.brings}.",
        "Paste what the host's program printed, whole, or the filled-in form.",
    )


def copying_error(path: str, problem: str) -> HostError:
    """A file is not what its list of checksums says."""
    return HostError(
        "exchange-copying-error",
        "A file was damaged on the way",
        f"{path} {problem}.",
        "Have the file copied again, from the machine on which it was made.",
        {"path": path},
    )


def unusable(where: str, problem: str, remedy: str | None = None) -> HostError:
    """What came from the operator can't be used; ``where`` names the file or the pasted text."""
    return HostError(
        "exchange-reply-unusable",
        "The answer can't be used",
        f"{where}: {problem}",
        remedy or "Bring the output of the host's program unchanged, as the instructions say.",
        {"where": where},
    )


def contradiction(field: str, first: str, second: str) -> HostError:
    """Two parts of an answer say different things."""
    places = first if first == second else f"{first} and {second}"
    return HostError(
        "exchange-reply-contradicts",
        "The answer contradicts itself",
        f"In {places} there are different values for “{field}”. They may come from two VMs, or "
        "from two starts of one.",
        "Leave only the answer that belongs to the VM as it runs now, and remove the others.",
        {"field": field, "where": [first, second]},
    )


def folder_missing(path: str) -> HostError:
    """There is no place where the exchange folder could be."""
    return HostError(
        "exchange-folder-missing",
        "The exchange folder is not there",
        f"There is no folder {path}, or this user may not look there.",
        "If it is on a stick or a share, connect that; otherwise make the folder.",
        {"path": path},
    )


def odd_entry(path: str, kind: str) -> HostError:
    """Something that is no regular file or plain folder, where one belongs."""
    return HostError(
        "exchange-odd-file",
        "Something in the exchange folder is not what it should be",
        f"{path} is {kind}. Links, pipes and devices are never followed here.",
        "Replace it by a plain file (or folder) with the answer in it.",
        {"path": path},
    )


def too_much(path: str, limit: str) -> HostError:
    """More than an honest answer has."""
    return HostError(
        "exchange-too-much",
        "There is too much in the exchange folder",
        f"{path} holds more than {limit}.",
        "Leave only the files that the instructions ask for.",
        {"path": path},
    )


def unreadable(error: BadInput) -> HostError:
    """A file that could not be read; the reason is the one that ``core.files`` gives."""
    return HostError(
        "exchange-file-unreadable",
        "A file of the answer can't be read",
        error.message,
        error.remedy,
        {**error.details, "reason": error.code},
    )


def not_written(error: BadInput) -> HostError:
    """A file could not be written; what was written before stays, and is completed later."""
    return HostError(
        "exchange-not-written",
        "The exchange folder can't be written",
        error.message,
        error.remedy,
        dict(error.details),
    )


def too_slow(path: str, seconds: float) -> HostError:
    """The file system did not answer."""
    return HostError(
        "exchange-too-slow",
        "The exchange folder does not answer",
        f"Reading or writing {path} took longer than {seconds:g} s. Most likely it is on a "
        "network share or a stick that hangs.",
        "See that the folder can be opened, then try again.",
        {"path": path, "seconds": seconds},
    )


def no_report(path: str) -> HostError:
    """The operator brought no attestation report, which he need not."""
    return HostError(
        "report-not-brought",
        "There is no attestation report",
        f"{OPERATOR[:1].upper()}{OPERATOR[1:]} brought none, so there is only his word that the "
        "VM runs.",
        "The instructions of turn 4 give the command for it; put its output into " + path + ".",
        {"path": path},
    )


def report_for_another_nonce(path: str) -> HostError:
    """A report that was not made for the nonce that is asked for."""
    return HostError(
        "report-for-another-nonce",
        "The attestation report answers another question",
        "Its nonce is not the one that was asked for. By hand there is only the nonce that the "
        "instructions of turn 4 name.",
        f"Have the command run again that turn 4 gives, and put its output into {path}.",
        {"path": path},
    )


def cannot_stop() -> HostError:
    """Nobody can be told at once to stop the VM."""
    return HostError(
        "exchange-cannot-stop",
        "Only the host's operator can stop this VM",
        "The host is reached by hand, so no command gets there.",
        "Ask the operator to pause it: `virsh suspend NAME`, or QEMU's command `stop`.",
    )


def _listed(words: Sequence[str]) -> str:
    """The words as a list in a sentence."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
