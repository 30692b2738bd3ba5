# SPDX-License-Identifier: Apache-2.0
"""Opens a vault with an AES key that never leaves a PKCS#11 token (extra ``pkcs11``).

The module, a shared library that is loaded into this process, is named by the person
who calls and never by the vault file: nothing vouches for the file before it is open.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from ..errors import VaultError
from ..secret import Secret
from .header import Header, Slot, TokenSlot
from .key_box import BOX_SIZE, KEY_SIZE, NONCE_SIZE, TAG_SIZE, associated_data
from .limited_thread import CallBlocked, LimitedThread
from .ways import Way, other_way

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkcs11 import Session

TIME_LIMIT: Final = 60.0
MODULE_VARIABLE: Final = "WATCHWORD_PKCS11_MODULE"
_PURPOSE: Final = "pkcs11"
_KEY_BITS: Final = 256

T = TypeVar("T")


class TokenKey(Protocol):
    """The part of a token's AES key that is used; python-pkcs11 adds it as the key allows."""

    def encrypt(self, data: bytes, **mechanism: Any) -> bytes:
        """The data, encrypted by the token."""

    def decrypt(self, data: bytes, **mechanism: Any) -> bytes:
        """The data, decrypted by the token."""


class TokenWay(Way):
    """The wrap key lies in the file, in a box of AES-256-GCM that only the token can open.

    ``module``  path of the token's PKCS#11 library; None where nobody has named one
    ``token``   label of the token of a new vault
    ``pin``     asks for the PIN, which is wiped after use
    ``limit``   seconds that the token may take
    """

    def __init__(
        self,
        module: str | None,
        token: str | None,
        pin: Callable[[], Secret],
        limit: float = TIME_LIMIT,
    ) -> None:
        self._module = module
        self._token = token
        self._ask_pin = pin
        self._limit = limit
        self._pin: Secret | None = None

    def prepare(self) -> None:
        """Ask for the PIN."""
        if self._pin is None:
            self._pin = self._ask_pin()

    def keep(self, vault_id: bytes, wrap_key: Secret) -> Slot:
        """Lock the key up in the token, with the vault's AES key there; make one if it has none.

        Raises as :meth:`fetch` does.
        """
        if self._token is None:
            raise _failed("no token is named", "Name it by its label: --token LABEL.")
        token, label = self._token, f"watchword-{vault_id.hex()}"
        self.prepare()

        def lock_up() -> bytes:
            with self._session(token) as session:
                return _encrypt(_find_or_make(session, label), wrap_key, vault_id)

        return TokenSlot(token, label, self._limited(lock_up))

    def fetch(self, header: Header) -> Secret:
        """Have the token open the box.

        Raises VaultError ``token-missing``, ``token-key-missing``, ``token-pin-wrong``,
        ``token-pin-locked``, ``token-blocked``, ``wrong-token`` or ``token-failed``.
        """
        slot = header.slot
        if not isinstance(slot, TokenSlot):
            raise other_way(slot.WAY)
        self._token = slot.token
        self.prepare()

        def unlock() -> Secret:
            with self._session(slot.token) as session:
                return _decrypt(_find(session, slot.key_label), slot.box, header.vault_id)

        return self._limited(unlock)

    def close(self) -> None:
        """Wipe the PIN."""
        if self._pin is not None:
            self._pin.wipe()
            self._pin = None

    def _limited(self, work: Callable[[], T]) -> T:
        thread = LimitedThread("watchword-token", self._limit)
        try:
            return thread.call(work)
        except VaultError as known:
            error = known
        except CallBlocked:
            error = _blocked(self._limit)
        except Exception as fault:  # noqa: BLE001 - foreign code: whatever it raises is mapped
            error = _map_fault(fault)
        finally:
            thread.close()
        # Raised here, where the foreign exception, whose frames hold the PIN, is forgotten.
        raise error

    @contextmanager
    def _session(self, token: str) -> Iterator[Session]:
        """In the thread: a session in which the user is logged in."""
        if self._module is None:
            raise _failed(
                "nobody has named its library",
                f"Name it with --pkcs11-module or {MODULE_VARIABLE}, such as"
                " /usr/lib/softhsm/libsofthsm2.so.",
            )
        try:
            import pkcs11  # noqa: PLC0415 - an extra
        except ImportError:
            raise _failed(
                "the package python-pkcs11 is missing", "Install watchword[pkcs11]."
            ) from None
        library = pkcs11.lib(self._module)
        if self._pin is None:
            raise _failed("there is no PIN", "Give the PIN.")
        with self._pin.reveal() as view:
            pin = bytes(view).decode(errors="replace")
        with library.get_token(token_label=token).open(rw=True, user_pin=pin) as session:
            yield session


def _find(session: Session, label: str) -> TokenKey:
    from pkcs11 import KeyType, ObjectClass  # noqa: PLC0415 - an extra

    key = session.get_key(object_class=ObjectClass.SECRET_KEY, key_type=KeyType.AES, label=label)
    return cast("TokenKey", key)


def _find_or_make(session: Session, label: str) -> TokenKey:
    from pkcs11 import Attribute, KeyType, NoSuchKey  # noqa: PLC0415 - an extra

    try:
        return _find(session, label)
    except NoSuchKey:
        template = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
        key = session.generate_key(
            KeyType.AES, _KEY_BITS, label=label, store=True, template=template
        )
        return cast("TokenKey", key)


def _encrypt(key: TokenKey, wrap_key: Secret, vault_id: bytes) -> bytes:
    from pkcs11 import GCMParams, Mechanism  # noqa: PLC0415 - an extra

    nonce = os.urandom(NONCE_SIZE)
    parameters = GCMParams(nonce, associated_data(vault_id, _PURPOSE), TAG_SIZE * 8)
    with wrap_key.reveal() as view:
        sealed = key.encrypt(bytes(view), mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
    box = nonce + bytes(sealed)
    if len(box) != BOX_SIZE:
        raise _failed("it does not encrypt as AES-GCM does", "Use another token.")
    return box


def _decrypt(key: TokenKey, box: bytes, vault_id: bytes) -> Secret:
    from pkcs11 import GCMParams, Mechanism  # noqa: PLC0415 - an extra
    from pkcs11.exceptions import EncryptedDataInvalid, GeneralError  # noqa: PLC0415

    nonce, sealed = box[:NONCE_SIZE], box[NONCE_SIZE:]
    parameters = GCMParams(nonce, associated_data(vault_id, _PURPOSE), TAG_SIZE * 8)
    try:
        opened = key.decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
    except (EncryptedDataInvalid, GeneralError):
        opened = b""
    if len(opened) != KEY_SIZE:
        raise VaultError(
            "wrong-token",
            "The vault does not open",
            "The token's key is another one than this vault was made with.",
            "Use the token that the vault was made with.",
        )
    return Secret(opened)


_FAULTS: Final = {
    "NoSuchToken": ("token-missing", "no token of that label is there", "Plug the token in."),
    "TokenNotPresent": ("token-missing", "it is not there", "Plug the token in."),
    "NoSuchKey": (
        "token-key-missing",
        "it does not hold the vault's key",
        "Use the token that the vault was made with, or `watchword vault restore`.",
    ),
    "PinIncorrect": ("token-pin-wrong", "the PIN is wrong", "Mind that tokens count wrong PINs."),
    "PinLenRange": ("token-pin-wrong", "the PIN is wrong", "Mind that tokens count wrong PINs."),
    "PinInvalid": ("token-pin-wrong", "the PIN is wrong", "Mind that tokens count wrong PINs."),
    "PinLocked": (
        "token-pin-locked",
        "the PIN was wrong too often",
        "Unlock it with the security officer's PIN.",
    ),
}


def _map_fault(fault: Exception) -> VaultError:
    known = (_FAULTS[base.__name__] for base in type(fault).__mro__ if base.__name__ in _FAULTS)
    code, why, remedy = next(
        known,
        ("token-failed", "its library failed", "Check the library's path and the token itself."),
    )
    return VaultError(
        code, "The token can't be used", f"The vault opens with it, but {why}.", remedy
    )


def _failed(why: str, remedy: str) -> VaultError:
    return VaultError(
        "token-failed", "The token can't be used", f"The vault opens with it, but {why}.", remedy
    )


def _blocked(seconds: float) -> VaultError:
    return VaultError(
        "token-blocked",
        "The token does not answer",
        f"Nothing came back within {seconds:g} seconds: it may wait for a touch or its PIN pad.",
        "Look at the token, and try again.",
    )
