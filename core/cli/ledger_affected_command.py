# SPDX-License-Identifier: Apache-2.0
"""``watchword ledger affected``: the launches and secrets that a later finding concerns."""

from __future__ import annotations

import argparse
import hashlib
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ..errors import ExitStatus
from ..files import read_chunks
from .command import Parser, Subparsers, add_command
from .output import Console, Result

if TYPE_CHECKING:
    from ..ledger.affected import Affected, AffectedImage, AffectedLaunch, GivenSecret

_HASH: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_HELP: Final = """\
Lists the launches that had to do with what became known to be weak, and by name the secrets
that they were given. A packet counts from its sealing on. With several options, those launches
that all of them fit. Launches whose entries don't say what is asked for are listed apart.
Images that a given secret opens are named, with what replaces their key."""


def declare_affected(group: Subparsers[Parser]) -> None:
    """Add ``ledger affected``."""
    parser = add_command(
        group,
        "affected",
        summary="list launches, and the secrets they were given, by what became known to be weak",
        example="watchword ledger affected --generation milan --build '<1.55.24'",
        run=_affected,
    )
    parser.description = _HELP
    parser.add_argument("--cek", metavar="HEX", help="a CEK's fingerprint (64 hex digits)")
    parser.add_argument(
        "--generation", metavar="NAME", help="processors: naples, rome, milan, genoa or turin"
    )
    parser.add_argument(
        "--firmware", metavar="FILE", help="a guest's firmware: its file, or its SHA-256 in hex"
    )
    parser.add_argument(
        "--build",
        metavar="VERSION",
        help="the secure processor's firmware: 1.49.3 (API 1.49, build 3), 1.49 (all of that API),"
        " 3 (build 3 of any API), '<1.55.24' or '<=1.49.3' (all that is older); in decimal, as"
        " query-sev prints them",
    )
    parser.add_argument(
        "--advisory",
        metavar="NAME",
        help="an entry of the table of advisories, or a part of its name; what fits are the"
        " generations or builds that it is about",
    )
    parser.add_argument(
        "--entry", metavar="NAME", help="an entry of the vault: who was given it, what it opens"
    )


def _affected(arguments: argparse.Namespace, console: Console) -> Result:
    from ..ledger.affected import affected  # noqa: PLC0415 - other ledger commands need no roots
    from .ledger_command import opened_ledger  # noqa: PLC0415 - it declares this command

    del console
    with opened_ledger() as ledger:
        answer = affected(
            ledger,
            cek=arguments.cek,
            generation=arguments.generation,
            firmware=_firmware(arguments.firmware),
            build=arguments.build,
            advisory=arguments.advisory,
            entry=arguments.entry,
        )
    status = ExitStatus.OK if answer.fault is None else answer.fault.exit_status
    return Result(answer.as_json(), tuple(_lines(answer)), status, answer.fault)


def _firmware(text: str | None) -> str | None:
    if text is None or _HASH.fullmatch(text):
        return text
    digest = hashlib.sha256()
    for chunk in read_chunks(text, "--firmware"):
        digest.update(chunk)
    return digest.hexdigest()


def _lines(answer: Affected) -> Iterator[str]:
    yield from _section("Launches that were given secrets", answer.given)
    yield from _section("Launches of which it is not certain", answer.undecided)
    yield from _section("Launches that were refused and given nothing", answer.refused)
    yield from _section("Launches that came to no secret", answer.without_secret)
    if not any((answer.given, answer.undecided, answer.refused, answer.without_secret)):
        yield "No launch in the ledger has to do with it."
    if answer.given:
        yield "Take the secrets of the first list for known, and replace them."
    yield from _images(answer.images)
    if answer.fault is not None:
        yield "The ledger is damaged, so that there may be more, and others than these:"


def _section(title: str, launches: Sequence[AffectedLaunch]) -> Iterator[str]:
    if not launches:
        return
    yield f"{title}: {len(launches)}"
    for launch in launches:
        yield "  " + ", ".join(_about(launch))
        for secret in launch.secrets:
            yield f"    {_secret(secret)}"


def _images(images: Sequence[AffectedImage]) -> Iterator[str]:
    for image in images:
        file = image.path or "FILE"
        if image.replaced:
            yield (
                f"Image {file} had the key of {image.entry}, which was replaced since; copies of it"
                " from before still open with the old key."
            )
        else:
            yield (
                f"Image {file} opens with {image.entry}: `watchword image rekey"
                f" {shlex.quote(file)} --entry {image.entry}` replaces its key."
            )


def _about(launch: AffectedLaunch) -> Iterator[str]:
    name = "an entry of no launch" if launch.launch_id is None else f"launch {launch.launch_id}"
    yield f"SIMULATED {name}" if launch.simulated else name
    if launch.guest is not None:
        yield f"guest {launch.guest}"
    if launch.host is not None:
        yield f"host {launch.host}"
    yield f"begun {launch.first.time}"
    yield f"last {launch.last.time} ({launch.last.kind.value})"
    if launch.keys_exported:
        yield "TEK and TIK were EXPORTED"


def _secret(secret: GivenSecret) -> str:
    words = secret.name or "a secret without a name"
    if secret.guid is not None:
        words += f" ({secret.guid})"
    if secret.entry is not None:
        words += f" from vault entry {secret.entry}"
    if secret.size is not None:
        words += f", {secret.size} bytes"
    return words + ", a test secret" if secret.test else words
