# SPDX-License-Identifier: Apache-2.0
"""What the operator's answers amount to: a platform, a guest's state, a measurement, a report.

The fields of an answer are judged by the same strict readers as QEMU's own, in
``replies``; nothing here is verified, and all of it is the host's word.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from ..base64_text import decode_base64
from ..errors import BadInput, HostError
from ..sev.certificate_archive import is_archive
from ..sev.chain import Role
from ..sev.chain_files import recognise
from . import replies
from .command_errors import explain_refusal, sev_not_enabled
from .exchange_errors import unusable
from .exchange_replies import (
    MEASUREMENT,
    REPORT,
    VCPUS,
    Said,
    as_text,
    bare_data,
    is_remark,
    read_text,
)
from .exchange_texts import unwrap
from .exchange_turns import FORM_FILE, Turn
from .protocol import CHIP_ID_BYTES, GuestState, PlatformAnswer, SevState

_T = TypeVar("_T")

_VERSION: Final = ("api-major", "api-minor", "build-id", "policy")
_CHAINS: Final = frozenset({"pdh", "cert-chain"})
_NEEDED: Final = (Role.PDH, Role.PEK, Role.OCA, Role.CEK)
_BESIDE: Final = ("cpu0-id", "cbitpos", "reduced-phys-bits")
_MEASUREMENT_WORDS: Final = (
    "the launch measurement (query-sev-launch-measure, or virsh domlaunchsecinfo)"
)
_VERSION_WORDS: Final = "API version, build and policy (query-sev, or virsh domlaunchsecinfo)"
_RUNNING_WORDS: Final = "an answer that the VM runs"


@dataclass(frozen=True, slots=True)
class Answer:
    """The texts of one turn, put together; ``passed_over`` names those that say nothing."""

    turn: Turn
    said: Said
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlatformFiles:
    """What turn 1 amounts to: the platform if it is whole, or what is missing of it.

    ``found`` names what there is, such as ``PDH``.
    """

    platform: PlatformAnswer | None
    found: tuple[str, ...]
    missing: tuple[str, ...]


def read_answer(turn: Turn, files: Mapping[str, bytes], launch_id: str) -> Answer:
    """The known fields in the files (paths and contents) of turn 3 or 5.

    Raises VerificationRefused ``reply-of-another-launch``, and HostError
    ``exchange-reply-unusable``, ``exchange-reply-contradicts`` or
    ``exchange-copying-error``.
    """
    said, passed_over = Said(), []
    for where, content in files.items():
        _refuse_archive(where, content)
        found = bare_data(content, where)
        if not found:
            text = unwrap(as_text(content, where), where, turn, launch_id)
            found = read_text(text, where, launch_id) or bare_data(text.encode(), where)
        name = where.rpartition("/")[2]
        if not found and name != FORM_FILE:
            passed_over.append(name)
        said.merge(found)
    return Answer(turn, said, tuple(passed_over))


# -- the guest ---------------------------------------------------------------------


def missing_of(answer: Answer) -> tuple[str, ...]:
    """What turn 3 or 5 still lacks, in words.

    Raises HostError where the host gave an error instead.
    """
    said, missing = answer.said, []
    if answer.turn is Turn.RUNNING:
        return () if runs(answer) else (_RUNNING_WORDS,)
    if said.fields.get("enabled") is False:
        raise sev_not_enabled()
    if MEASUREMENT not in said.fields:
        missing.append(_MEASUREMENT_WORDS)
    if not said.fields.keys() >= set(_VERSION):
        missing.append(_VERSION_WORDS)
    if missing and (refusal := said.refusal_of("query-sev-launch-measure")):
        raise explain_refusal(refusal)
    return tuple(missing)


def guest_state(answer: Answer) -> GuestState:
    """The guest's state as turn 3 tells it; call it only if nothing is missing.

    A host that gives the measurement has loaded the guest: where nobody says more, it
    waits for its secret, paused. The handle is not asked for, and 0.
    """
    fields = answer.said.fields
    state = fields.get("state", SevState.LAUNCH_SECRET.value)
    sev = {name: fields.get(name) for name in _VERSION}
    sev |= {"enabled": fields.get("enabled", True), "state": state, "handle": 0}
    if "sev-type" in fields:
        sev["sev-type"] = fields["sev-type"]
    status = {"running": fields.get("running", state == SevState.RUNNING.value)}
    return _strictly(answer.said, lambda: replies.read_guest_state(sev, status))


def measurement(answer: Answer) -> bytes:
    """The launch measurement of turn 3, 48 bytes."""
    data = {"data": answer.said.fields[MEASUREMENT]}
    return _strictly(answer.said, lambda: replies.read_measurement(data), MEASUREMENT)


def report(answer: Answer) -> bytes | None:
    """The attestation report of turn 5, 208 bytes; None if there is none."""
    if REPORT not in answer.said.fields:
        return None
    data = {"data": answer.said.fields[REPORT]}
    return _strictly(answer.said, lambda: replies.read_report(data), REPORT)


def vcpu_count(answer: Answer) -> int | None:
    """The number of vCPUs, if somebody said it."""
    count = answer.said.fields.get(VCPUS)
    if count is None:
        return None
    if not isinstance(count, int) or not 1 <= count <= replies.VCPU_LIMIT:
        raise unusable(answer.said.where[VCPUS], "The number of vCPUs makes no sense.")
    return count


def runs(answer: Answer) -> bool:
    """Whether turn 5 says that the VM runs.

    Raises HostError ``exchange-reply-unusable`` for words that mean neither, or a word
    that may be about any launch.
    """
    said = answer.said
    running, state = said.fields.get("running"), said.fields.get("state")
    if running is not None and not isinstance(running, bool):
        raise unusable(said.where["running"], "“running” is neither yes nor no.")
    if state is not None and state not in list(SevState):
        raise unusable(said.where["state"], "Its state is none that QEMU knows.")
    if running and state is None and not said.named:
        raise unusable(
            said.where["running"],
            "It says that a VM runs, and not of which launch.",
            "Add the line “launch: …” with the launch's id.",
        )
    return state == SevState.RUNNING or (running is True and state is None)


def standing_still(answer: Answer) -> str | None:
    """The state that turn 5 names, of a VM that does not run; None if it names none."""
    fields = answer.said.fields
    if "state" in fields:
        return str(fields["state"])
    return "paused" if fields.get("running") is False else None


def check_refused(answer: Answer) -> None:
    """Raise the HostError for an error that the host answered in turn 5 with."""
    refusal = answer.said.refusal_of("sev-inject-launch-secret")
    if refusal is not None:
        raise explain_refusal(refusal)


def _strictly(said: Said, read: Callable[[], _T], name: str = "") -> _T:
    """What a strict reader makes of the fields; its complaint names the text, not a socket."""
    try:
        return read()
    except HostError as error:
        if error.code != "host-answer-malformed":
            raise
        field = name or str(error.details.get("field", ""))
        where = said.where.get(field, "The answer")
        raise unusable(where, f"{error.message}") from None


# -- the platform ------------------------------------------------------------------


def read_platform(files: Mapping[str, bytes], launch_id: str) -> PlatformFiles:
    """Put the files of turn 1 together: certificates in any layout, and programs' answers.

    Raises as :func:`read_answer` does, and HostError for an error that the host gave.
    """
    said = Said()
    pieces: list[tuple[str, bytes]] = []
    for where, content in files.items():
        found = None if is_archive(content) else _take_text(where, content, launch_id)
        if found is None:
            pieces.append((where, content))
            continue
        text, fields = found
        said.merge(fields)
        certificates = {key: fields.fields[key] for key in _CHAINS & fields.fields.keys()}
        if certificates:
            pieces.append((where, json.dumps(certificates).encode()))
        elif not fields and (base64 := _without_remarks(text)):
            pieces.append((where, base64))
    return _assemble(pieces, said)


def _take_text(where: str, content: bytes, launch_id: str) -> tuple[str, Said] | None:
    """A file as text with the fields in it; None for certificates in binary."""
    try:
        text = as_text(content, where)
    except HostError:
        return None
    text = unwrap(text, where, Turn.PLATFORM, launch_id)
    return text, read_text(text, where, launch_id)


def _without_remarks(text: str) -> bytes:
    """A text without its comments and the line that names the launch."""
    kept = (line for line in text.splitlines() if not is_remark(line))
    return "\n".join(kept).strip().encode()


def _assemble(pieces: list[tuple[str, bytes]], said: Said) -> PlatformFiles:
    try:
        found = recognise(pieces).certificates
    except BadInput as error:
        raise unusable(error.field, error.message, error.remedy) from None
    roles = tuple(role for role, data in found.by_role().items() if data is not None)
    missing = tuple(f"the {role.name}" for role in _NEEDED if role not in roles)
    names = (*(role.name for role in roles), *(name for name in _BESIDE if name in said.fields))
    if missing:
        if refusal := said.refusal_of("query-sev-capabilities"):
            raise explain_refusal(refusal)
        return PlatformFiles(None, names, missing)
    # The ARK comes last: AMD serves one without a signature, and its size tells that there.
    chain = (found.pek, found.oca, found.cek_from_host, found.cek, found.ask, found.ark)
    platform = PlatformAnswer(
        pdh=found.pdh or b"",
        cert_chain=b"".join(data or b"" for data in chain),
        cpu_id=_chip_id(said) or found.chip_id,
        cbitpos=_small_number(said, "cbitpos"),
        reduced_phys_bits=_small_number(said, "reduced-phys-bits"),
    )
    return PlatformFiles(platform, names, ())


def _chip_id(said: Said) -> bytes | None:
    """The chip id of the first socket; a machine with two may name both."""
    value = said.fields.get("cpu0-id")
    if value is None:
        return None
    where = said.where["cpu0-id"]
    if not isinstance(value, str):
        raise unusable(where, "Its cpu0-id is not text.")
    try:
        data = decode_base64(value, where, 2 * CHIP_ID_BYTES)
    except BadInput as error:
        raise unusable(where, f"Its cpu0-id: {error.message}", error.remedy) from None
    if len(data) not in (CHIP_ID_BYTES, 2 * CHIP_ID_BYTES):
        raise unusable(where, f"Its cpu0-id has {len(data)} bytes instead of {CHIP_ID_BYTES}.")
    return data[:CHIP_ID_BYTES]


def _small_number(said: Said, name: str) -> int | None:
    value = said.fields.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 0xFF:
        raise unusable(said.where[name], f"Its {name} is no number from 0 to 255.")
    return value


def _refuse_archive(where: str, content: bytes) -> None:
    if is_archive(content):
        raise unusable(
            where,
            "It is an archive; none are opened here but the certs_export.zip of turn 1.",
            "Have it unpacked on the host, and bring the files in it.",
        )
