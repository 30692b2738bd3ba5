# SPDX-License-Identifier: Apache-2.0
"""Every exception of a keyring, told apart as one of four: absent, locked, broken, not found.

Keyring libraries raise exceptions of their own, of D-Bus and of the system, some with
the same meaning and some with texts nobody can act on. They are told apart by the names
of their classes, so that none of those libraries has to be imported for it.
"""

from __future__ import annotations

import re
from typing import Final

from ..errors import VaultError

_LOCKED: Final = {"KeyringLocked", "LockedException", "PromptDismissedException"}
_ABSENT: Final = {
    "NoKeyringError",
    "SecretServiceNotAvailableException",
    "ConnectionRefusedError",
    "FileNotFoundError",
    "ImportError",
}
_NOT_FOUND: Final = {"ItemNotFoundException", "PasswordDeleteError"}
# A person who waves a dialog away, or a dialog that can't be shown, in other classes.
_DISMISSED: Final = re.compile("prompt dismissed|cancell?ed by user", re.IGNORECASE)
_NO_SERVICE: Final = re.compile(r"NoSuchService|ServiceUnknown|neither running nor activatable")

_OTHER_WAYS: Final = (
    "or use a vault without a keyring: `watchword vault init --open-with passphrase`."
)


def map_fault(fault: BaseException) -> VaultError:
    """The VaultError that a foreign exception means; its text is not taken over.

    ``keyring-locked``, ``keyring-absent``, ``keyring-key-missing`` or ``keyring-broken``.
    """
    names = {base.__name__ for base in type(fault).__mro__}
    text = str(fault)[:500]
    if names & _LOCKED or _DISMISSED.search(text):
        return keyring_locked()
    if names & _ABSENT or _NO_SERVICE.search(text):
        return keyring_absent()
    if names & _NOT_FOUND:
        return keyring_key_missing()
    return keyring_broken("it answered in a way that nobody expects")


def keyring_absent(what: str = "No keyring service is running for you here") -> VaultError:
    """VaultError ``keyring-absent``."""
    return VaultError(
        "keyring-absent",
        "There is no keyring",
        f"{what}. Over SSH, in containers and in services there usually is none.",
        f"Log in to a desktop session, start a Secret Service such as gnome-keyring, {_OTHER_WAYS}",
    )


def keyring_locked() -> VaultError:
    """VaultError ``keyring-locked``."""
    return VaultError(
        "keyring-locked",
        "The keyring is locked",
        "It has to be unlocked with its own password, which is most often that of your login;"
        " the window that asks for it was dismissed, or can't be shown here.",
        f"Unlock it in your desktop session and try again, {_OTHER_WAYS}",
    )


def keyring_key_missing() -> VaultError:
    """VaultError ``keyring-key-missing``."""
    return VaultError(
        "keyring-key-missing",
        "The keyring does not have the vault's key",
        "It was deleted from the keyring, or this is the keyring of another user or machine.",
        "With the recovery code: `watchword vault restore FILE --open-with keyring`, FILE being"
        " a copy of the vault file.",
    )


def keyring_broken(what: str) -> VaultError:
    """VaultError ``keyring-broken``; ``what`` is a clause about the keyring."""
    return VaultError(
        "keyring-broken",
        "The keyring does not work",
        f"The keyring is there, but {what}. Most likely its service has crashed or was restarted.",
        f"Log out and in again, {_OTHER_WAYS}",
    )


def keyring_blocked(seconds: float) -> VaultError:
    """VaultError ``keyring-blocked``."""
    return VaultError(
        "keyring-blocked",
        "The keyring does not answer",
        f"Nothing came back within {seconds:g} seconds. Most likely it waits for somebody to"
        " unlock it in a window that nobody sees, or that can't be shown here.",
        f"Unlock the keyring in your desktop session and try again, {_OTHER_WAYS}",
        {"seconds": seconds},
    )


def keyring_refused(name: str, where: str) -> VaultError:
    """VaultError ``keyring-refused``; ``name`` of a back end that ``where`` asks for."""
    shown = "".join(c if c.isprintable() else "?" for c in name[:80])
    return VaultError(
        "keyring-refused",
        "This keyring is not safe to use",
        f"{where} asks for the keyring back end {shown}. Back ends that store nothing, store in"
        " plain text, or pass on to others are refused.",
        f"Take that setting away, {_OTHER_WAYS}",
        {"backend": shown},
    )
