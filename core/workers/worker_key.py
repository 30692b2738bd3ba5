# SPDX-License-Identifier: Apache-2.0
"""A worker's identity: an Ed25519 key for what it says, an X25519 key for what is sealed to it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from ..errors import UsageError, VaultError
from ..evidence.signing_key import key_fingerprint, new_signing_key, public_key
from ..secret import Secret
from ..vault.entries import EntryKind
from .envelope import SignedKind, sign_document
from .models import time_text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from ..vault.vault import Vault

SIGNING_ENTRY: Final = "worker/signing-key"
OPENING_ENTRY: Final = "worker/opening-key"
"""What the worker's own vault calls them; both are kept from guests as ``signing-key``."""
KEY_SIZE: Final = 32

REQUEST: Final = SignedKind(
    "worker request",
    4096,
    "request-of-another-worker",
    "Have the worker write it again: `watchword worker init`, or `watchword worker show --out FILE`"
    " there.",
)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}", re.ASCII)


class WorkerKey:
    """Both private keys of a worker, open; a context that wipes them.

    ``signing``  Ed25519 seed (32 bytes)
    ``opening``  X25519 private key (32 bytes)
    """

    def __init__(self, signing: Secret, opening: Secret) -> None:
        self.signing = signing
        self._opening = opening
        self.signing_public = public_key(signing)
        self.opening_public = self.opening_key().public_key().public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """What jobs and enrolments know it by: SHA-256 (hex) of the raw Ed25519 public key."""
        return key_fingerprint(self.signing_public)

    def opening_key(self) -> X25519PrivateKey:
        """The X25519 key for use, for as short as possible."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import (  # noqa: PLC0415
            X25519PrivateKey,
        )

        with self._opening.reveal() as view:
            return X25519PrivateKey.from_private_bytes(view)

    def wipe(self) -> None:
        """Overwrite both; may be called again."""
        self.signing.wipe()
        self._opening.wipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return f"<worker {self.fingerprint}>"


def make_worker_key(vault: Vault, random: Callable[[int], bytes] = os.urandom) -> WorkerKey:
    """New keys, in the worker's own vault from now on. Raises VaultError ``worker-key-exists``."""
    key = WorkerKey(new_signing_key(random), Secret(random(KEY_SIZE)))
    kind = EntryKind.SIGNING_KEY
    try:
        vault.add_all([(SIGNING_ENTRY, kind, key.signing), (OPENING_ENTRY, kind, key._opening)])
    except VaultError as error:
        key.wipe()
        if error.code != "entry-exists":
            raise
        raise _exists() from None
    return key


def open_worker_key(vault: Vault) -> WorkerKey:
    """The keys that this vault holds. Raises VaultError ``worker-key-missing``."""
    if not vault.holds(SIGNING_ENTRY, OPENING_ENTRY):
        raise VaultError(
            "worker-key-missing",
            "This machine is no worker yet",
            "Its vault has no worker's keys.",
            "Make them with `watchword worker init NAME`, and have the owner enrol them.",
        )
    signing = vault.get(SIGNING_ENTRY)
    try:
        return WorkerKey(signing, vault.get(OPENING_ENTRY))
    except BaseException:
        signing.wipe()
        raise


def enrolment_request(key: WorkerKey, name: str, now: datetime) -> bytes:
    """The file in which a worker asks to be enrolled, signed by itself: it has the key it names.

    Nothing in it is secret, and nobody trusts it before the owner has compared the
    fingerprint. Raises UsageError ``bad-worker-name``.
    """
    body = {
        "worker": check_worker_name(name),
        "signing_key": key.signing_public.hex(),
        "opening_key": key.opening_public.hex(),
        "made": time_text(now),
    }
    return sign_document(REQUEST, body, key.signing)


def check_worker_name(name: str) -> str:
    """The name, if a worker may have it. Raises UsageError ``bad-worker-name``."""
    if _NAME.fullmatch(name):
        return name
    raise UsageError(
        "bad-worker-name",
        "A worker can't have this name",
        "A name has 1 to 63 small letters, digits, dots or dashes, and begins with a letter or a"
        " digit.",
        "Choose one such as rack3-a.",
    )


def _exists() -> VaultError:
    return VaultError(
        "worker-key-exists",
        "This machine is a worker already",
        "Its vault has a worker's keys; with new ones it could not take its jobs any more.",
        "See them with `watchword worker show`.",
    )
