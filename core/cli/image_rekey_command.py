# SPDX-License-Identifier: Apache-2.0
"""``watchword image rekey``: replaces an image's boot key in image and vault together."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import WatchwordError
from .command import Parser, Subparsers, add_command
from .output import Console, Result
from .vault_options import add_vault_options, opened_vault

if TYPE_CHECKING:
    from ..image.rekey import RekeyedImage
    from ..ledger.ledger import Ledger
    from ..vault.vault import Vault

_HELP = """\
Makes a new boot key, gives it a key slot, writes it over the old one inside the encrypted root
(key file and initrd), exchanges it in the vault, and removes the old slot. Whatever happens on
the way, the image opens with what the vault has; run it again and it goes on where it was.

Copies of the image from before still open with the old key: destroy them. Launches whose packet
was sealed before carry the old key, and don't unlock the image any more."""
_SAID = {
    "new-key-in-vault": "The new key is in the vault.",
    "slot-added": "The image opens with both keys.",
    "key-file-written": "The new key is inside the encrypted root.",
    "vault-exchanged": "The vault has exchanged the keys.",
    "slot-removed": "The old key slot is removed.",
}


def register(subparsers: Subparsers[Parser]) -> None:
    """Add ``image rekey``."""
    parser = add_command(
        subparsers,
        "rekey",
        summary="replace an image's boot key, in the image and in the vault together",
        example="watchword image rekey web1.qcow2 --entry web1/disk --recovery web1/recovery",
        run=_rekey,
    )
    parser.description = _HELP
    parser.add_argument("file", metavar="FILE", help="a raw or qcow2 image that nobody uses now")
    parser.add_argument(
        "--entry", metavar="NAME", required=True, help="the vault's boot key for it"
    )
    parser.add_argument(
        "--recovery",
        metavar="NAME",
        help="its recovery key, tried before and after; default: the one that the ledger names",
    )
    parser.add_argument(
        "--leave-initrd",
        action="store_true",
        help="go on although an initrd in the image has the old key packed in it: for an image that"
        " is never started from that one",
    )
    add_vault_options(parser)


def _rekey(arguments: argparse.Namespace, console: Console) -> Result:
    import asyncio  # noqa: PLC0415 - other image commands do without

    from ..image.rekey import rekey_image  # noqa: PLC0415 - as above
    from ..ledger.ledger import Ledger  # noqa: PLC0415 - a database
    from ..records.database import Records, records_folder  # noqa: PLC0415 - as above

    said = set()

    def observe(point: str) -> None:
        if point in _SAID and point not in said:
            said.add(point)
            console.progress(_SAID[point])

    with opened_vault(arguments, console) as vault, Records.open(records_folder()) as records:
        ledger = Ledger(records)
        done = asyncio.run(
            rekey_image(
                Path(arguments.file),
                vault,
                ledger,
                arguments.entry,
                recovery=arguments.recovery,
                leave_initrd=arguments.leave_initrd,
                observe=observe,
            )
        )
        _note_head(vault, ledger, console)
    return Result(done.as_json(), tuple(_lines(done)))


def _note_head(vault: Vault, ledger: Ledger, console: Console) -> None:
    """Have the keyring take note of vault and ledger; that it doesn't undoes nothing."""
    from ..ledger.anchor import newest_head  # noqa: PLC0415 - as above

    try:
        vault.write_anchor(lambda noted: newest_head(ledger, noted))
    except WatchwordError as error:
        console.note(
            "warning: the key is replaced, but the newest state could not be noted, so that an"
            f" older copy may go unnoticed. {error.title}: {error.message}"
        )


def _lines(done: RekeyedImage) -> Iterator[str]:
    went_on = "An interrupted rekey was finished. " if done.resumed else ""
    yield f"{went_on}{done.path} opens with the new key of {done.entry}, in slot {done.added_slot}."
    for path in done.files:
        yield f"  replaced inside: {path}"
    if not done.files and not done.resumed:
        yield "Its root holds no copy of the key: the guest is given it at each start."
    if done.recovery_slot is None:
        yield "No recovery key was tried: name it with --recovery, or see `image check`."
    else:
        yield f"The recovery key opens slot {done.recovery_slot}, as before."
    if done.other_fast_slots:
        numbers = ", ".join(map(str, done.other_fast_slots))
        yield (
            f"Slot {numbers} is for a random key too, and Watchword doesn't know whose: if nobody"
            " needs it, remove it with `cryptsetup luksKillSlot`."
        )
    if done.mounted and done.files:
        yield (
            "The guest has run since the image was built. If it has made its initrd anew, and"
            " starts from a file that was not replaced above, it will ask for a passphrase."
        )
    yield (
        "Copies of the image from before still open with the old key, whoever has that: destroy"
        " them. Launches that were sealed before carry the old key; start new ones."
    )
