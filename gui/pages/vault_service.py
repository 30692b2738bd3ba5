# SPDX-License-Identifier: Apache-2.0
"""The vault as the window has it: opened once, used by one thread at a time, without Qt.

Every method blocks, so the window calls them over the bridge, in ``asyncio.to_thread``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from watchword.core.errors import VaultError
from watchword.core.files import read_secret
from watchword.core.secret import Secret
from watchword.core.vault.entries import (
    LARGEST_VALUE,
    EntryInfo,
    EntryKind,
    generate_disk_passphrase,
)
from watchword.core.vault.header import Header, KeyringSlot, OpenWith, TokenSlot
from watchword.core.vault.key_stretching import Scrypt, Stretching
from watchword.core.vault.keyring_access import KeyringAccess
from watchword.core.vault.opening import read_header
from watchword.core.vault.vault import RollbackCheck, Vault
from watchword.core.vault.vault_file import VaultFile, default_folder

from .vault_given import Answers, Given

WITHOUT_ASKING = (OpenWith.KEYRING, OpenWith.SESSION_ONLY, OpenWith.SYSTEMD_CREDENTIAL)
"""Ways that need nothing from the person at the window; a keyring asks by itself."""
OWN_KINDS = (EntryKind.TRANSPORT_KEY, EntryKind.SIGNING_KEY, EntryKind.RECORD_KEY)
"""Keys that Watchword made for itself: never shown, never removed by hand."""


_MENDABLE = (
    "wrong-passphrase",
    "token-pin-wrong",
    "token-pin-locked",
    "token-missing",
    "token-failed",
    "token-blocked",
)
"""What a person sets right by giving something else, where it was given."""


class VaultState(StrEnum):
    """How the vault stands."""

    ABSENT = "absent"
    CLOSED = "closed"
    OPEN = "open"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class VaultView:
    """What the window shows of the vault; no secret is in it.

    ``open_with``      how it opens; None where there is none, or where its file can't be read
    ``keyring``        the keyring that holds its key, if one does
    ``token``          the label of the PKCS#11 token that does
    ``generation``     how many states its file has had
    ``recovery_made``  the day on which its recovery code was made
    ``error``          why it can't be used
    ``note``           what went less well than it should: the vault itself is in order
    """

    state: VaultState
    path: str
    open_with: OpenWith | None = None
    keyring: str | None = None
    token: str | None = None
    generation: int | None = None
    recovery_made: str | None = None
    rollback: RollbackCheck | None = None
    entries: tuple[EntryInfo, ...] = ()
    exposed: bool = False
    error: VaultError | None = None
    note: str = ""


class VaultService:
    """Holds the vault open until it is closed by hand, or the program ends.

    ``folder``      of the vault; the user's own by default
    ``keyring``     makes the access to the keyring; tests give one in memory
    ``stretching``  of a new passphrase
    """

    def __init__(
        self,
        folder: Path | None = None,
        keyring: Callable[[], KeyringAccess] = KeyringAccess,
        stretching: Stretching | None = None,
    ) -> None:
        self._folder = folder
        self._answers = Answers(keyring, stretching or Scrypt())
        self._lock = threading.RLock()
        self._vault: Vault | None = None

    @property
    def folder(self) -> Path:
        """Where the vault is, or will be."""
        return self._folder if self._folder is not None else default_folder()

    # -- opening and closing -----------------------------------------------------

    def look(self) -> VaultView:
        """How the vault stands; it is opened where nobody has to be asked for it."""
        with self._lock:
            return self._guarded(self._look)

    def unlock(self, passphrase: Secret) -> VaultView:
        """Open it by its passphrase, which is wiped; see :meth:`unlock_with`."""
        return self.unlock_with(Given(open_with=OpenWith.PASSPHRASE, passphrase=passphrase))

    def unlock_with(self, given: Given) -> VaultView:
        """Open it by passphrase or token; the secrets of ``given`` are wiped.

        Raises VaultError ``wrong-passphrase`` and ``token-…``; anything else that is wrong is
        in the view.
        """
        with self._lock, self._answers.hold(given):
            try:
                self._open(given)
            except VaultError as error:
                if error.code in _MENDABLE:
                    raise
                return self._unusable(error)
            return self._guarded(self._look)

    def create(self, open_with: OpenWith, passphrase: Secret | None = None) -> VaultView:
        """Make a vault that opens in this way, and open it. Raises as Vault.create does."""
        return self.create_with(Given(open_with=open_with, passphrase=passphrase))

    def create_with(self, given: Given) -> VaultView:
        """Make a vault as was chosen, and open it; the secrets of ``given`` are wiped.

        Raises as Vault.create and ``make_credential`` do.
        """
        with self._lock, self._answers.hold(given):
            if not VaultFile(self.folder).exists():
                self._answers.make_credential(given)
            self._take(Vault.create(self.folder, self._answers.way(given.open_with, given)))
            return self._noted()

    def restore(
        self, source: str, given: Given, code: Secret | None = None, *, accept_older: bool = False
    ) -> VaultView:
        """Put a copy of a vault in its place, or open it anew by its recovery code.

        Without ``code`` it opens as it always did, by what was given; with it, as ``given``
        says from now on. The secrets are wiped. Raises as ``restore_vault`` does.
        """
        from watchword.core.vault.restoring import restore_vault  # noqa: PLC0415 - rarely needed

        with self._lock, _wiped(code), self._answers.hold(given):
            self.close()
            vault = restore_vault(
                Path(source),
                self.folder,
                self._answers.ways(given),
                code=code,
                open_with=None if code is None else given.open_with,
                accept_older=accept_older,
            )
            self._take(vault)
            return self._noted()

    def close(self) -> None:
        """Wipe the vault's keys; what is in a session-only vault is gone then."""
        with self._lock:
            vault, self._vault = self._vault, None
            if vault is not None:
                vault.close()
            self._answers.close()

    @contextmanager
    def opened(self) -> Iterator[Vault]:
        """The open vault for one piece of work; nobody else uses it meanwhile.

        Raises VaultError ``vault-closed``, or why it can't be opened without asking.
        """
        with self._lock:
            if self._vault is None:
                view = self._guarded(self._look)
                if view.error is not None:
                    raise view.error
            if self._vault is None:
                raise _closed()
            yield self._vault

    # -- entries -------------------------------------------------------------------

    def names(self) -> tuple[str, ...] | None:
        """The names of all entries; None where the vault is not open."""
        with self._lock:
            return None if self._vault is None else tuple(e.name for e in self._vault.list())

    def add(self, name: str, kind: EntryKind, value: Secret, *, replace: bool = False) -> VaultView:
        """Store a secret, which is wiped. Raises as Vault.add does."""
        with _wiped(value), self.opened() as vault:
            vault.add(name, kind, value, replace=replace)
            return self._noted()

    def add_file(
        self,
        name: str,
        kind: EntryKind,
        path: str,
        *,
        strip_newline: bool = False,
        replace: bool = False,
    ) -> VaultView:
        """Store what a file holds. Raises as Vault.add does, and BadInput."""
        value = read_secret(path, "the file", LARGEST_VALUE)
        if strip_newline:
            value = _without_newline(value)
        return self.add(name, kind, value, replace=replace)

    def generate(self, name: str, kind: EntryKind, *, replace: bool = False) -> VaultView:
        """Store a new disk passphrase: 264 random bits as 44 characters."""
        return self.add(name, kind, generate_disk_passphrase(), replace=replace)

    def reveal(self, name: str) -> Secret:
        """The value of an entry, for the caller to wipe. Raises VaultError ``entry-missing``."""
        with self.opened() as vault:
            if vault.info(name).kind in OWN_KINDS:
                raise _own_key()
            return vault.get(name)

    def remove(self, name: str) -> VaultView:
        """Erase an entry. Raises VaultError ``entry-missing``."""
        with self.opened() as vault:
            if vault.info(name).kind in OWN_KINDS:
                raise _own_key()
            vault.remove(name)
            return self._noted()

    def make_recovery_code(self) -> tuple[Secret, VaultView]:
        """A new recovery code, for the caller to show and wipe; an earlier one is void."""
        with self.opened() as vault:
            return vault.make_recovery_code(), self._noted()

    def rotate(self, given: Given) -> tuple[Secret | None, VaultView]:
        """Seal everything anew under a new key; a new recovery code where there was one.

        ``given`` brings a new passphrase, or the token's PIN. The caller shows and wipes the
        code. Raises as Vault.rotate does.
        """
        with self.opened() as vault, self._answers.hold(given):
            return vault.rotate(), self._noted()

    # -- within the lock -------------------------------------------------------------

    def _guarded(self, look: Callable[[], VaultView]) -> VaultView:
        try:
            return look()
        except VaultError as error:
            return self._unusable(error)

    def _look(self) -> VaultView:
        file = VaultFile(self.folder)
        if self._vault is not None:
            return self._open_view(self._vault, file)
        if not file.exists():
            return VaultView(VaultState.ABSENT, str(file.path))
        header = read_header(file.read())
        if header.slot.WAY in WITHOUT_ASKING:
            self._open(Given(open_with=header.slot.WAY))
            return self._look()
        return _closed_view(header, file)

    def _open_view(self, vault: Vault, file: VaultFile, note: str = "") -> VaultView:
        return replace(
            _closed_view(vault.header, file),
            state=VaultState.OPEN,
            rollback=vault.rollback,
            generation=vault.generation,
            entries=vault.list(),
            note=note,
        )

    def _unusable(self, error: VaultError) -> VaultView:
        file = VaultFile(self.folder)
        try:
            view = _closed_view(read_header(file.read()), file)
        except VaultError:
            view = VaultView(VaultState.UNUSABLE, str(file.path))
        return replace(view, state=VaultState.UNUSABLE, error=error)

    def _open(self, given: Given) -> None:
        if self._vault is None:
            way = self._answers.way(given.open_with, given)
            self._take(Vault.open(self.folder, {given.open_with: way}))

    def _take(self, vault: Vault) -> None:
        if self._vault is not None:
            self._vault.close()
        self._vault = vault

    def _noted(self) -> VaultView:
        """The view after a change, which the keyring takes note of."""
        vault = self._vault
        if vault is None:
            raise _closed()
        note = ""
        if vault.anchor_due:
            try:
                vault.write_anchor()
            except VaultError as error:
                if error.code == "vault-rolled-back":
                    raise
                note = f"{error.title}. {error.message}"
        return self._open_view(vault, VaultFile(self.folder), note)


def _closed_view(header: Header, file: VaultFile) -> VaultView:
    return VaultView(
        VaultState.CLOSED,
        str(file.path),
        open_with=header.slot.WAY,
        keyring=header.slot.keyring if isinstance(header.slot, KeyringSlot) else None,
        token=header.slot.token if isinstance(header.slot, TokenSlot) else None,
        recovery_made=None if header.recovery is None else header.recovery.made,
        exposed=file.others_can_enter(),
    )


@contextmanager
def _wiped(secret: Secret | None) -> Iterator[None]:
    try:
        yield
    finally:
        if secret is not None:
            secret.wipe()


def _without_newline(value: Secret) -> Secret:
    with _wiped(value), value.reveal() as view:
        return Secret(view[:-1] if len(view) and view[-1] == ord("\n") else view)


def _closed() -> VaultError:
    return VaultError(
        "vault-closed",
        "The vault is closed",
        "Its passphrase has not been given since Watchword was started, or it was closed by hand.",
        "Open it on the page Vault.",
    )


def _own_key() -> VaultError:
    return VaultError(
        "own-key",
        "This key is Watchword's own",
        "Keys of launches and of signatures are used where they are, and never shown: whoever has"
        " them could pass for you.",
        "Leave it where it is; the keys of a launch are erased when it ends.",
    )
