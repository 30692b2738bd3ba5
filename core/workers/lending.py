# SPDX-License-Identifier: Apache-2.0
"""Puts the secrets that came sealed with a job into the worker's own vault, and takes them out.

There the ordinary launch finds them under the names that the profile gives: there is no
second way to a secret. What the worker's vault has had before stays the worker's own.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from ..errors import VaultError
from ..vault.entries import EntryKind
from .sealed_keys import open_entry

if TYPE_CHECKING:
    from ..secret import Secret
    from ..vault.vault import Vault
    from .verified_job import VerifiedJob
    from .worker_key import WorkerKey
    from .worker_store import WorkerStore


def lend(job: VerifiedJob, key: WorkerKey, vault: Vault, store: WorkerStore) -> None:
    """Open what is sealed for this job, into the vault; again is the same.

    Raises VerificationRefused ``sealed-entry-refused``, VaultError ``entry-not-lent`` where
    the vault has an entry of its own of that name, ``entry-lent-otherwise`` where another
    open job has brought another value.
    """
    for reference, ciphertext in job.sealed:
        kind = EntryKind(str(reference.kind))
        bound = job.job.sealed_for(reference.entry, kind.value)
        secret = open_entry(ciphertext, key.opening_key(), bound)
        try:
            _put(reference.entry, kind, secret, job.digest, vault, store)
        finally:
            secret.wipe()


def _put(  # noqa: PLR0917 - one thing, with where it goes
    entry: str, kind: EntryKind, secret: Secret, digest: str, vault: Vault, store: WorkerStore
) -> None:
    held = vault.holds(entry)
    if held and not store.is_lent(entry):
        raise _own(entry)
    shared = store.lend(entry, digest)
    if held and vault.info(entry).kind is kind and _same(vault.get(entry), secret):
        return
    if held and shared:
        store.take_back(entry, digest)
        raise _otherwise(entry)
    if held:
        vault.remove(entry)
    vault.add(entry, kind, secret)


def _same(held: Secret, secret: Secret) -> bool:
    try:
        with held.reveal() as one, secret.reveal() as other:
            return hmac.compare_digest(one, other)
    finally:
        held.wipe()


def take_back(job: VerifiedJob, vault: Vault, store: WorkerStore) -> None:
    """Remove what the job has brought and no other open job needs; may be called again."""
    for entry in store.lent_for(job.digest):
        # Still known as lent while it is removed: a crash leaves nothing that nobody looks for.
        if not store.lend(entry, job.digest) and vault.holds(entry):
            vault.remove(entry)
        store.take_back(entry, job.digest)


def take_all_back(vault: Vault, store: WorkerStore) -> None:
    """Remove whatever jobs have brought; before any job is under way, and by the worker alone.

    A worker that was killed has taken nothing back, and its jobs may never come again.
    """
    for entry in store.all_lent():
        if vault.holds(entry):
            vault.remove(entry)
        store.forget_lent(entry)


def _own(entry: str) -> VaultError:
    return VaultError(
        "entry-not-lent",
        "The worker has this secret itself",
        f"The job brings “{entry}”, and this vault has an entry of that name that no job brought.",
        "Nothing was begun. Leave the entry out of what is sealed for this worker, or remove it"
        f" here: `watchword vault remove {entry}`.",
        {"entry": entry},
    )


def _otherwise(entry: str) -> VaultError:
    return VaultError(
        "entry-lent-otherwise",
        "Two jobs bring different secrets of one name",
        f"Another job under way has brought “{entry}” with another value, or as another kind.",
        "Nothing was begun. Once the other job is over, dispatch this one again.",
        {"entry": entry},
    )
