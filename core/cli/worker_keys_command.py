# SPDX-License-Identifier: Apache-2.0
"""``watchword worker owner|init|show|enrol``: who may give out jobs, and who may take them."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError, VerificationRefused
from ..files import read_file
from .command import Parser, Subparsers, add_command, whole_number
from .new_files import NewFile, refuse_existing, write_new_files
from .output import Console, Result, grouped
from .vault_options import add_vault_options, opened_vault

if TYPE_CHECKING:
    from ..workers.worker_key import WorkerKey

_DEFAULT_DAYS = 365
_ABOUT_ENROL = """\
Signs a worker's request with the owner's key for jobs. What is signed is whoever can show
--fingerprint: read it from the worker's own screen, not from the request. The file may lie
anywhere; a batch gives jobs to the workers of the files that it is given, and to nobody
else. Leave a file out to strike its worker off."""


def declare_keys(group: Subparsers[Parser]) -> None:
    """Add ``worker owner|init|show|enrol``."""
    owner = add_command(
        group,
        "owner",
        summary="print the fingerprint of the owner's key for jobs, which workers pin",
        example="watchword worker owner --new",
        run=_owner,
    )
    owner.add_argument("--new", action="store_true", help="make the key if there is none yet")
    add_vault_options(owner)
    init = add_command(
        group,
        "init",
        summary="make this machine a worker: keys in its vault, and a request to be enrolled",
        example="watchword worker init rack3-a --out rack3-a.request",
        run=_init,
    )
    _add_request_options(init, required=True)
    show = add_command(
        group,
        "show",
        summary="print this worker's fingerprint, or write its request anew",
        example="watchword worker show",
        run=_show,
    )
    _add_request_options(show, required=False)
    enrol = add_command(
        group,
        "enrol",
        summary="enrol a worker: sign its name and keys as the owner",
        example="watchword worker enrol rack3-a.request --fingerprint HEX --out rack3-a.worker",
        run=_enrol,
    )
    enrol.description = f"{enrol.description}\n\n{_ABOUT_ENROL}"
    enrol.add_argument("request", metavar="REQUEST", help="the file that `worker init` wrote")
    enrol.add_argument(
        "--fingerprint", metavar="HEX", required=True, help="as the worker's screen shows it"
    )
    enrol.add_argument("--out", metavar="FILE", required=True, help="a new file")
    enrol.add_argument(
        "--days",
        metavar="N",
        type=whole_number,
        default=_DEFAULT_DAYS,
        help=f"how long it holds, default {_DEFAULT_DAYS}",
    )
    add_vault_options(enrol)


def _add_request_options(parser: Parser, *, required: bool) -> None:
    if required:
        parser.add_argument("name", metavar="NAME", help="what the fleet calls this worker")
    else:
        parser.add_argument("--name", metavar="NAME", help="what the fleet calls this worker")
    parser.add_argument(
        "--out", metavar="FILE", required=required, help="write the request to a new file"
    )
    add_vault_options(parser)


def _owner(arguments: argparse.Namespace, console: Console) -> Result:
    from ..evidence.signing_key import signer_fingerprint  # noqa: PLC0415 - help needs none of it
    from ..workers.owner_key import owner_key  # noqa: PLC0415 - as above

    with opened_vault(arguments, console) as vault:
        seed = owner_key(vault, make=arguments.new)
        try:
            fingerprint = signer_fingerprint(seed)
        finally:
            seed.wipe()
    lines = (
        grouped(fingerprint),
        "Workers pin this: `watchword worker run --owner` takes it, blanks and all in quotes.",
    )
    return Result({"owner": fingerprint}, lines)


def _init(arguments: argparse.Namespace, console: Console) -> Result:
    from ..workers.worker_key import check_worker_name, make_worker_key  # noqa: PLC0415 - as above

    path = Path(arguments.out)
    check_worker_name(arguments.name)
    refuse_existing([path], "--out", "Name a new file.")
    with opened_vault(arguments, console) as vault, make_worker_key(vault) as key:
        return _told(key.fingerprint, _written(key, arguments.name, path))


def _show(arguments: argparse.Namespace, console: Console) -> Result:
    from ..workers.worker_key import open_worker_key  # noqa: PLC0415 - as above

    if (arguments.name is None) != (arguments.out is None):
        raise _half_asked()
    with opened_vault(arguments, console) as vault, open_worker_key(vault) as key:
        if arguments.out is None:
            return _told(key.fingerprint, None)
        path = Path(arguments.out)
        refuse_existing([path], "--out", "Name a new file.")
        return _told(key.fingerprint, _written(key, arguments.name, path))


def _written(key: WorkerKey, name: str, path: Path) -> Path:
    from ..workers.worker_key import enrolment_request  # noqa: PLC0415 - as above

    request = enrolment_request(key, name, datetime.now(UTC))
    write_new_files([NewFile(path, request, "--out")])
    return path


def _told(fingerprint: str, path: Path | None) -> Result:
    lines = [grouped(fingerprint)]
    if path is not None:
        lines.append(
            f"The request is in {path}. The owner enrols this worker with `watchword worker enrol"
            " REQUEST --fingerprint …`, and reads the fingerprint from here."
        )
    payload: dict[str, object] = {"worker": fingerprint}
    return Result(payload if path is None else {**payload, "path": str(path)}, tuple(lines))


def _enrol(arguments: argparse.Namespace, console: Console) -> Result:
    from ..evidence.signing_key import signer_fingerprint  # noqa: PLC0415 - as above
    from ..workers.enrolment import enrol, read_request  # noqa: PLC0415 - as above
    from ..workers.owner_key import owner_key, pinned_fingerprint  # noqa: PLC0415 - as above
    from ..workers.worker_key import REQUEST  # noqa: PLC0415 - as above

    path = Path(arguments.out)
    refuse_existing([path], "--out", "Name a new file.")
    typed = pinned_fingerprint(arguments.fingerprint, "watchword worker show")
    data = read_file(arguments.request, "the request", REQUEST.largest)
    request = read_request(data, "the request")
    if request.fingerprint != typed:
        raise _another(request.fingerprint, typed)
    with opened_vault(arguments, console) as vault:
        seed = owner_key(vault)
        try:
            enrolment = enrol(
                request,
                seed,
                owner_fingerprint=signer_fingerprint(seed),
                serial=os.urandom(32).hex(),
                now=datetime.now(UTC),
                days=arguments.days,
            )
        finally:
            seed.wipe()
    write_new_files([NewFile(path, enrolment, "--out")])
    lines = (
        f"Worker {request.worker} is enrolled for {arguments.days} days: {path}.",
        "Give the file to batches that may use it.",
    )
    payload = {"name": request.worker, "worker": request.fingerprint, "path": str(path)}
    return Result(payload, lines)


def _another(found: str, typed: str) -> VerificationRefused:
    return VerificationRefused(
        "another-worker",
        "This request is not of the worker whose fingerprint was given",
        f"It is of {found}, and {typed} was given.",
        "Nothing was signed. If the fingerprint was read from the worker's own screen, the request"
        " was exchanged on its way.",
        {"request": found, "given": typed},
    )


def _half_asked() -> UsageError:
    return UsageError(
        "bad-arguments",
        "watchword worker show can't be called like that",
        "A request needs a name and a file: --name and --out belong together.",
        "See `watchword worker show --help`.",
    )
