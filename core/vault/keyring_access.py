# SPDX-License-Identifier: Apache-2.0
"""Talks to the operating system's keyring: one wrap key and one anchor per vault, nothing else.

Every call runs in one thread of its own with a time limit, because a keyring that wants
to be unlocked asks in a window: where no window can be shown, or nobody looks at it, the
call never returns. A key is read once per process, because gnome-keyring has been seen
to abort under many calls.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from ..bounded_json import parse_json
from ..errors import BadInput, VaultError
from ..secret import Secret
from .key_box import KEY_SIZE
from .keyring_backends import Backend, choose_backend
from .keyring_errors import keyring_blocked, keyring_broken, keyring_key_missing, map_fault
from .limited_thread import CallBlocked, LimitedThread

SERVICE: Final = "watchword"
TIME_LIMIT: Final = 20.0

_LONGEST_ITEM: Final = 1024
_LONGEST_HEAD: Final = 128
_LAST_GENERATION: Final = 2**53 - 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the keyring remembers of vault and ledger, so that older copies are noticed.

    ``generation``   of the vault when it was last closed
    ``ledger_head``  at most 128 printable ASCII characters, or None: the ledger knows them
    """

    generation: int
    ledger_head: str | None = None

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """The anchor of its JSON text. Raises VaultError ``keyring-broken``."""
        try:
            value = parse_json(text, "the anchor", deepest=2)
        except BadInput:
            raise _bad_anchor() from None
        if not isinstance(value, dict) or value.keys() != {"generation", "ledger_head"}:
            raise _bad_anchor()
        generation, head = value["generation"], value["ledger_head"]
        if type(generation) is not int or not 0 <= generation <= _LAST_GENERATION:
            raise _bad_anchor()
        if head is not None and not (isinstance(head, str) and is_ledger_head(head)):
            raise _bad_anchor()
        return cls(generation, head)

    def build(self) -> str:
        """The JSON text."""
        return json.dumps({"generation": self.generation, "ledger_head": self.ledger_head})


def is_ledger_head(text: str) -> bool:
    """Whether a text may be anchored: 1 to 128 printable ASCII characters."""
    return 0 < len(text) <= _LONGEST_HEAD and text.isascii() and text.isprintable()


class KeyringAccess:
    """The keyring of this process; make one and hand it on.

    ``limit``   seconds that a call may take
    ``choose``  finds the back end; blocking, raises VaultError. Tests give another one
    Every method but :meth:`close` raises VaultError ``keyring-absent``,
    ``keyring-locked``, ``keyring-broken``, ``keyring-key-missing``,
    ``keyring-blocked`` or ``keyring-refused``.
    """

    def __init__(
        self,
        limit: float = TIME_LIMIT,
        choose: Callable[[str | None], tuple[str, Backend]] = choose_backend,
    ) -> None:
        self._limit = limit
        self._choose = choose
        self._thread = LimitedThread("watchword-keyring", limit)
        self._backends: dict[str | None, tuple[str, Backend]] = {}
        self._keys: dict[tuple[str, str], Secret] = {}

    def __repr__(self) -> str:
        return "<keyring access>"

    def name(self, wanted: str | None = None) -> str:
        """The name of the keyring that is used; with ``wanted``, that one or an error."""
        return self._call(lambda: self._backend(wanted)[0])

    def read_key(self, keyring: str, user: str, *, again: bool = False) -> Secret | None:
        """The 32-byte key stored under a user name, or None; a copy, which the caller wipes.

        It is read once; ``again`` asks the keyring once more.
        """
        if again or (keyring, user) not in self._keys:
            text = self._read(keyring, user)
            if text is None:
                return None
            self._remember(keyring, user, _decode(text))
        with self._keys[keyring, user].reveal() as view:
            return Secret(view)

    def write_key(self, keyring: str, user: str, key: Secret) -> None:
        """Store a key, read it back, and compare: a vault must not rest on a key that is lost."""
        with key.reveal() as view:
            text = base64.urlsafe_b64encode(view).rstrip(b"=").decode()
        self._write(keyring, user, text)
        if self._read(keyring, user) != text:
            raise keyring_broken("what was stored in it a moment ago can't be read back")
        with key.reveal() as view:
            self._remember(keyring, user, Secret(view))

    def delete(self, keyring: str, user: str) -> None:
        """Delete what is stored under a user name; nothing there is no error."""
        self._forget(keyring, user)
        try:
            self._call(lambda: self._backend(keyring)[1].delete_password(SERVICE, user))
        except VaultError as error:
            if error.code != keyring_key_missing().code:
                raise

    def read_anchor(self, keyring: str, user: str) -> Anchor | None:
        """The anchor stored under a user name, or None."""
        text = self._read(keyring, user)
        return None if text is None else Anchor.parse(text)

    def write_anchor(self, keyring: str, user: str, anchor: Anchor) -> None:
        """Store an anchor."""
        self._write(keyring, user, anchor.build())

    def close(self) -> None:
        """Wipe the keys that were read and let the thread end."""
        for key in self._keys.values():
            key.wipe()
        self._keys.clear()
        self._thread.close()

    def _read(self, keyring: str, user: str) -> str | None:
        text = self._call(lambda: self._backend(keyring)[1].get_password(SERVICE, user))
        if text is not None and len(text) > _LONGEST_ITEM:
            raise keyring_broken("something of another program is where Watchword's key belongs")
        return text

    def _write(self, keyring: str, user: str, text: str) -> None:
        self._call(lambda: self._backend(keyring)[1].set_password(SERVICE, user, text))

    def _backend(self, wanted: str | None) -> tuple[str, Backend]:
        """In the thread: the back end, looked for once."""
        if wanted not in self._backends:
            name, backend = self._choose(wanted)
            self._backends[wanted] = self._backends[name] = (name, backend)
        return self._backends[wanted]

    def _call(self, work: Callable[[], T]) -> T:
        try:
            return self._thread.call(work)
        except VaultError:
            raise
        except CallBlocked:
            error = keyring_blocked(self._limit)
        except Exception as fault:  # noqa: BLE001 - foreign code: whatever it raises is mapped
            error = map_fault(fault)
        # Raised here, where the foreign exception, whose frames hold the key, is forgotten.
        raise error

    def _remember(self, keyring: str, user: str, key: Secret) -> None:
        self._forget(keyring, user)
        self._keys[keyring, user] = key

    def _forget(self, keyring: str, user: str) -> None:
        known = self._keys.pop((keyring, user), None)
        if known is not None:
            known.wipe()


def _decode(text: str) -> Secret:
    try:
        raw = bytearray(_unpadded(text))
    except (binascii.Error, ValueError):
        raw = bytearray()
    try:
        if len(raw) != KEY_SIZE:
            raise keyring_broken("what it keeps as the vault's key is none")
        return Secret(raw)
    finally:
        raw[:] = bytes(len(raw))


def _unpadded(text: str) -> bytes:
    standard = text.replace("-", "+").replace("_", "/") + "="
    return binascii.a2b_base64(standard, strict_mode=True)


def _bad_anchor() -> VaultError:
    return keyring_broken("its note of the vault's newest state can't be read")
