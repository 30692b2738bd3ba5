# SPDX-License-Identifier: Apache-2.0
"""``watchword vault init|status|rotate|recovery|restore``: the vault as a whole and its keys."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ExitStatus, UsageError, VaultError
from ..secret import Secret
from ..vault.header import Header, KeyringSlot, OpenWith
from ..vault.layout import SCHEMA
from ..vault.opening import read_header
from ..vault.restoring import restore_vault
from ..vault.vault import RollbackCheck, Vault
from ..vault.vault_file import VaultFile
from .command import Parser, Subparsers, add_command, whole_number
from .output import Console, Result, table
from .secret_input import ask, read_line
from .vault_options import (
    add_kdf_option,
    add_new_passphrase_options,
    add_placing_options,
    add_vault_options,
    noting_state,
    opened_vault,
    opens_unattended,
    vault_folder,
    vault_ways,
)

_WITH_KEY = ("auto", "host", "tpm2", "host+tpm2")
_ROLLBACK = {
    RollbackCheck.CHECKED: "checked: an older copy of the file would have been noticed",
    RollbackCheck.NOT_DETECTABLE: "rollback not detectable: nothing outside the file remembers"
    " its newest state",
}
_CODE_NOTE = (
    "Write it down and keep it apart from this machine: with it and a copy of the vault file,"
    " anybody can read everything in the vault. It is not shown again."
)
_ROTATED = (
    "The vault has a new key. Copies of the file that were made before still open with the old"
    " key, passphrase or recovery code."
)


def declare_key_commands(group: Subparsers[Parser]) -> None:
    """Add the commands over the vault as a whole."""
    _declare_init(group)
    status = add_command(
        group,
        "status",
        summary="show where the vault is, how it is opened, and whether a rollback is noticed",
        example="watchword vault status",
        run=_status,
    )
    add_vault_options(status)
    rotate = add_command(
        group,
        "rotate",
        summary="make a new key, and seal everything anew under it",
        example="watchword vault rotate",
        run=_rotate,
    )
    add_vault_options(rotate)
    add_new_passphrase_options(rotate)
    recovery = add_command(
        group,
        "recovery",
        summary="print a recovery code, once; an earlier one is void from then on",
        example="watchword vault recovery",
        run=_recovery,
    )
    add_vault_options(recovery)
    _declare_restore(group)


def _declare_init(group: Subparsers[Parser]) -> None:
    init = add_command(
        group,
        "init",
        summary="make a vault; how it opens is chosen here and never changes by itself",
        example="watchword vault init --open-with passphrase",
        run=_init,
    )
    init.add_argument(
        "--open-with",
        choices=[way.value for way in OpenWith],
        default=OpenWith.KEYRING.value,
        help="default: keyring",
    )
    init.add_argument(
        "--recovery", action="store_true", help="print a recovery code too, as `recovery` does"
    )
    add_vault_options(init)
    add_kdf_option(init)
    add_placing_options(init)
    init.add_argument(
        "--credential-out",
        metavar="FILE",
        help="make the systemd credential, encrypted for this machine, and write it there",
    )
    init.add_argument(
        "--with-key", choices=_WITH_KEY, default="auto", help="what systemd-creds encrypts it with"
    )


def _declare_restore(group: Subparsers[Parser]) -> None:
    restore = add_command(
        group,
        "restore",
        summary="put a copy of a vault in its place, on this machine or another",
        example="watchword vault restore backup/secrets.vault --open-with keyring",
        run=_restore,
    )
    restore.add_argument("source", metavar="FILE", help="the copy of the vault file")
    ways = [way.value for way in OpenWith if way is not OpenWith.SESSION_ONLY]
    restore.add_argument(
        "--open-with",
        choices=ways,
        help="open the copy with the recovery code, and from now on in this way;"
        " without it, the copy opens as it always did",
    )
    restore.add_argument(
        "--code-fd", type=whole_number, metavar="N", help="recovery code: descriptor N"
    )
    restore.add_argument("--code-file", metavar="FILE", help="recovery code: first line of FILE")
    restore.add_argument(
        "--accept-older", action="store_true", help="although the keyring has seen a newer state"
    )
    add_vault_options(restore)
    add_new_passphrase_options(restore)
    add_placing_options(restore)


def _init(arguments: argparse.Namespace, console: Console) -> Result:
    open_with, folder = OpenWith(arguments.open_with), vault_folder(arguments)
    with (
        _fresh_credential(arguments, open_with, folder) as credential,
        vault_ways(arguments, console, credential) as ways,
    ):
        vault = Vault.create(folder, ways[open_with])
        with noting_state(vault, console):
            session_only = open_with is OpenWith.SESSION_ONLY
            code = vault.make_recovery_code() if arguments.recovery and not session_only else None
            header = vault.header
    path = VaultFile(folder).path
    lines = [f"Made a vault at {path}; it opens with “{open_with.value}”."]
    if open_with is OpenWith.SESSION_ONLY:
        lines.append("Nothing but that choice is in the file: secrets last as long as a program.")
    elif code is None:
        lines.append(
            "If its key is lost, everything in it is: print a recovery code with"
            " `watchword vault recovery`."
        )
    payload: dict[str, object] = {"path": str(path), **_header_json(header, open_with)}
    if arguments.credential_out is not None and open_with is OpenWith.SYSTEMD_CREDENTIAL:
        payload["credential_file"] = arguments.credential_out
        unit = f"LoadCredentialEncrypted={arguments.credential}:{arguments.credential_out}"
        lines.append(f"Services that use it need this line: {unit}")
    return _with_code(payload, lines, code)


@contextmanager
def _fresh_credential(
    arguments: argparse.Namespace, open_with: OpenWith, folder: Path
) -> Iterator[Secret | None]:
    """The credential that ``--credential-out`` asks for, until the vault is made."""
    if arguments.credential_out is None:
        yield None
        return
    if open_with is not OpenWith.SYSTEMD_CREDENTIAL:
        raise UsageError(
            "credential-not-needed",
            "A credential is asked for, and would not be used",
            f"The vault is to open with “{open_with.value}”.",
            "Leave --credential-out away, or say --open-with systemd-credential.",
        )
    if VaultFile(folder).exists():
        yield None  # says so before anything is made
        return
    from ..vault.systemd_creds import make_credential  # noqa: PLC0415 - few vaults need it

    out = Path(arguments.credential_out)
    credential = make_credential(arguments.credential, out, arguments.with_key)
    try:
        yield credential
    finally:
        credential.wipe()


def _status(arguments: argparse.Namespace, console: Console) -> Result:
    file = VaultFile(vault_folder(arguments))
    payload: dict[str, object] = {"path": str(file.path), "state": "absent"}
    try:
        data = file.read()
    except VaultError as fault:
        if fault.code != "vault-missing":
            raise
        line = f"There is no vault at {file.path}; `watchword vault init` makes one."
        return Result(payload, (line,))
    header = read_header(data)
    way = header.slot.WAY
    payload |= {"state": "closed", "schema": SCHEMA, **_header_json(header, way)}
    error = None
    if way is OpenWith.SESSION_ONLY:
        payload["state"] = way.value
    elif opens_unattended(arguments, way):
        try:
            with opened_vault(arguments, console) as vault:
                payload |= _open_json(vault)
        except VaultError as fault:
            error = fault
    if file.others_can_enter():
        console.note(f"warning: other users may enter {file.folder}: run `chmod 700` on it.")
    status = ExitStatus.OK if error is None else ExitStatus.VAULT
    return Result(payload, _status_lines(payload), status, error)


def _header_json(header: Header, open_with: OpenWith) -> dict[str, object]:
    return {
        "vault_id": None if open_with is OpenWith.SESSION_ONLY else header.vault_id.hex(),
        "open_with": open_with.value,
        "keyring": header.slot.keyring if isinstance(header.slot, KeyringSlot) else None,
        "recovery_code_made": None if header.recovery is None else header.recovery.made,
    }


def _open_json(vault: Vault) -> dict[str, object]:
    return {
        "state": "open",
        "entries": len(vault.list()),
        "generation": vault.generation,
        "rollback": vault.rollback.value,
        "recovery_code_made": vault.header.recovery.made if vault.header.recovery else None,
    }


def _status_lines(payload: dict[str, object]) -> tuple[str, ...]:
    keyring = payload["keyring"]
    rows = [
        ("vault", f"{payload['path']}"),
        ("opens with", f"{payload['open_with']}" + (f" ({keyring})" if keyring else "")),
    ]
    if payload["state"] == "open":
        rows += [
            ("entries", f"{payload['entries']}"),
            ("generation", f"{payload['generation']}"),
            ("rollback", _ROLLBACK[RollbackCheck(str(payload["rollback"]))]),
        ]
    elif payload["state"] == "closed":
        rows.append(("state", "closed; it was not opened for this"))
    else:
        rows.append(("state", "nothing is kept; secrets last as long as a program runs"))
    made = payload["recovery_code_made"]
    if payload["state"] != OpenWith.SESSION_ONLY.value:
        rows.append(("recovery code", f"made on {made}" if made else "none"))
    return table(rows)


def _rotate(arguments: argparse.Namespace, console: Console) -> Result:
    with opened_vault(arguments, console) as vault:
        code, generation = vault.rotate(), vault.generation
    return _with_code({"rotated": True, "generation": generation}, [_ROTATED], code)


def _recovery(arguments: argparse.Namespace, console: Console) -> Result:
    with opened_vault(arguments, console) as vault:
        code = vault.make_recovery_code()
        made = None if vault.header.recovery is None else vault.header.recovery.made
    return _with_code({"recovery_code_made": made}, [], code)


def _restore(arguments: argparse.Namespace, console: Console) -> Result:
    open_with = OpenWith(arguments.open_with) if arguments.open_with else None
    code = _read_code(arguments) if open_with else None
    try:
        with vault_ways(arguments, console) as ways:
            vault = restore_vault(
                Path(arguments.source),
                vault_folder(arguments),
                ways,
                code=code,
                open_with=open_with,
                accept_older=arguments.accept_older,
            )
            with noting_state(vault, console):
                header, payload = vault.header, _open_json(vault)
    finally:
        if code is not None:
            code.wipe()
    path = VaultFile(vault_folder(arguments)).path
    payload = {"path": str(path), **_header_json(header, header.slot.WAY), **payload}
    line = f"Restored the vault to {path}, {payload['entries']} entries in it."
    return Result(payload, (line, *_status_lines(payload)[1:]))


def _read_code(arguments: argparse.Namespace) -> Secret:
    code = read_line(arguments.code_fd, arguments.code_file, "the recovery code")
    if code is None:
        code = ask("Recovery code (not shown)")
    if code is None:
        raise VaultError(
            "recovery-code-needed",
            "The recovery code is needed",
            "There is no terminal to ask at, and no option brings it.",
            "Give --code-fd N or --code-file FILE; without --open-with no code is needed.",
        )
    return code


def _with_code(payload: dict[str, object], lines: list[str], code: Secret | None) -> Result:
    if code is None:
        return Result({**payload, "recovery_code": None}, tuple(lines))
    with code.reveal() as view:
        text = bytes(view).decode()
    code.wipe()
    return Result({**payload, "recovery_code": text}, (*lines, "Recovery code:", text, _CODE_NOTE))
