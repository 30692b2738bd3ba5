# SPDX-License-Identifier: Apache-2.0
"""How the window speaks of the vault: its state, the ways to open it, the kinds of entries."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.core.vault.vault import RollbackCheck

from ..widgets.key_value_table import Row
from ..widgets.state_badge import Look
from ..widgets.tones import Tone
from .vault_service import VaultState, VaultView

translate = QCoreApplication.translate
_CONTEXT = "Vault"


def vault_look(view: VaultView) -> Look:
    """The vault's state as a badge."""
    if view.state is VaultState.ABSENT:
        return Look("circle", translate(_CONTEXT, "None yet"), Tone.NEUTRAL)
    if view.state is VaultState.CLOSED:
        return Look("locked", translate(_CONTEXT, "Closed"), Tone.INFO)
    if view.state is VaultState.UNUSABLE:
        return Look("bad", translate(_CONTEXT, "Can't be opened"), Tone.BAD)
    if view.open_with is OpenWith.SESSION_ONLY:
        return Look("clock", translate(_CONTEXT, "Open, this session only"), Tone.WARN)
    return Look("unlocked", translate(_CONTEXT, "Open"), Tone.OK)


def vault_sentence(view: VaultView) -> str:
    """What that means, and what to do, in one line."""
    if view.state is VaultState.ABSENT:
        return translate(_CONTEXT, "Choose how your vault shall open, and it is made.")
    if view.state is VaultState.UNUSABLE:
        return translate(_CONTEXT, "What is in it stays as it is. See above what to do.")
    if view.state is VaultState.CLOSED:
        if view.open_with is OpenWith.PKCS11:
            return translate(_CONTEXT, "It opens with the token “{token}” and its PIN.").format(
                token=view.token
            )
        return translate(_CONTEXT, "It opens with your passphrase.")
    if view.open_with is OpenWith.SESSION_ONLY:
        return translate(
            _CONTEXT, "Nothing is written to disk: what you put in is gone when Watchword ends."
        )
    if view.open_with is OpenWith.KEYRING:
        return translate(
            _CONTEXT, "Its key is in your keyring ({name}): it opens when you are logged in."
        ).format(name=view.keyring)
    if view.open_with is OpenWith.SYSTEMD_CREDENTIAL:
        return translate(
            _CONTEXT, "It opens with the credential that systemd gave to this program's service."
        )
    return translate(_CONTEXT, "It stays open until you close it, or Watchword ends.")


def vault_rows(view: VaultView) -> tuple[Row, ...]:
    """Where it is, and what it withstands."""
    file = Row(translate(_CONTEXT, "File"), view.path, copy=True)
    if view.open_with is OpenWith.SESSION_ONLY or view.state is not VaultState.OPEN:
        return (file,) if view.state is not VaultState.ABSENT else ()
    if view.recovery_made is None:
        code = translate(_CONTEXT, "None: if its key is lost, everything in it is.")
    else:
        code = translate(_CONTEXT, "Made on {day}.").format(day=view.recovery_made)
    if view.rollback is RollbackCheck.CHECKED:
        older = translate(_CONTEXT, "An older copy of the file would be noticed.")
    else:
        older = translate(
            _CONTEXT,
            "Not noticed: nothing outside the file remembers its newest state.",
        )
    return (
        file,
        Row(translate(_CONTEXT, "Recovery code"), code, term="recovery-code"),
        Row(translate(_CONTEXT, "Older copies"), older),
        Row(
            translate(_CONTEXT, "Version"),
            translate(_CONTEXT, "{n}, and one more with each change.").format(n=view.generation),
        ),
    )


def kind_name(kind: EntryKind) -> str:
    """The kind of an entry in a word or two."""
    return {
        EntryKind.DISK_SECRET: translate(_CONTEXT, "Disk secret"),
        EntryKind.GUEST_SECRET: translate(_CONTEXT, "Guest secret"),
        EntryKind.TEST_SECRET: translate(_CONTEXT, "Test secret"),
        EntryKind.TRANSPORT_KEY: translate(_CONTEXT, "Key of a launch"),
        EntryKind.LAUNCH_PACKET: translate(_CONTEXT, "Sealed packet of a launch"),
        EntryKind.SIGNING_KEY: translate(_CONTEXT, "Key that signs evidence"),
        EntryKind.RECORD_KEY: translate(_CONTEXT, "Key that vouches for records"),
        EntryKind.RECOVERY: translate(_CONTEXT, "Recovery passphrase"),
    }[kind]


def kind_sentence(kind: EntryKind) -> str:
    """What a secret of that kind is for; of the kinds that people store."""
    return {
        EntryKind.DISK_SECRET: translate(_CONTEXT, "Unlocks a guest's disk."),
        EntryKind.GUEST_SECRET: translate(_CONTEXT, "Anything else that a guest is given."),
        EntryKind.TEST_SECRET: translate(
            _CONTEXT, "Of no worth: the only kind that a platform which is not proven may receive."
        ),
        EntryKind.RECOVERY: translate(
            _CONTEXT, "A disk's spare passphrase, for the day on which the first one is lost."
        ),
    }.get(kind, "")
