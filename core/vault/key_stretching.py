# SPDX-License-Identifier: Apache-2.0
"""Makes a key from a passphrase: scrypt or Argon2id, with parameters that are bounded when read.

The parameters stand in the vault file, which anybody may have written: without a bound a
file could ask for all of a machine's memory, or for hours of its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Protocol, cast

from cryptography.exceptions import UnsupportedAlgorithm

from ..errors import VaultError
from ..secret import Secret
from .damage import StrictFields
from .key_box import KEY_SIZE

SALT_SIZE: Final = 32
MOST_MEMORY_KIB: Final = 512 * 1024
# Memory times passes, in KiB: about ten seconds on a slow machine.
MOST_WORK_KIB: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Scrypt:
    """scrypt (RFC 7914): 128 · r · 2^log2_n bytes of memory, p times over; default 128 MiB."""

    NAME: ClassVar[str] = "scrypt"
    log2_n: int = 17
    r: int = 8
    p: int = 1

    def derive(self, passphrase: Secret, salt: bytes) -> Secret:
        """32 bytes. Raises VaultError ``not-enough-memory`` or ``vault-parameters``."""
        from cryptography.hazmat.primitives.kdf import scrypt  # noqa: PLC0415 - few vaults need it

        self.check()
        kdf = scrypt.Scrypt(salt, KEY_SIZE, 1 << self.log2_n, self.r, self.p)
        return _derive(kdf, passphrase)

    def check(self) -> None:
        """Raise VaultError ``vault-parameters`` if they are out of bounds."""
        within = 14 <= self.log2_n <= 24 and 1 <= self.r <= 32 and 1 <= self.p <= 16
        memory = (self.r << self.log2_n) // 8 if within else 0
        _check_cost(memory, self.p, within=within)

    def as_json(self) -> dict[str, object]:
        """The parameters as the header holds them."""
        return {"name": self.NAME, "log2_n": self.log2_n, "r": self.r, "p": self.p}


@dataclass(frozen=True, slots=True)
class Argon2id:
    """Argon2id (RFC 9106): ``memory_kib`` KiB, ``iterations`` passes; default 64 MiB, 3 passes."""

    NAME: ClassVar[str] = "argon2id"
    iterations: int = 3
    lanes: int = 4
    memory_kib: int = 64 * 1024

    def derive(self, passphrase: Secret, salt: bytes) -> Secret:
        """32 bytes. Raises VaultError ``not-enough-memory`` or ``vault-parameters``."""
        from cryptography.hazmat.primitives.kdf import argon2  # noqa: PLC0415 - few vaults need it

        self.check()
        try:
            argon = argon2.Argon2id(
                salt=salt,
                length=KEY_SIZE,
                iterations=self.iterations,
                lanes=self.lanes,
                memory_cost=self.memory_kib,
            )
        except UnsupportedAlgorithm:
            raise _bad_parameters("this machine's OpenSSL has no Argon2id") from None
        # It takes views, as the others do, and declares bytes alone.
        return _derive(cast("_Kdf", argon), passphrase)

    def check(self) -> None:
        """Raise VaultError ``vault-parameters`` if they are out of bounds."""
        within = 1 <= self.iterations <= 64 and 1 <= self.lanes <= 64 and self.memory_kib >= 19456
        _check_cost(self.memory_kib, self.iterations, within=within)

    def as_json(self) -> dict[str, object]:
        """The parameters as the header holds them."""
        return {
            "name": self.NAME,
            "iterations": self.iterations,
            "lanes": self.lanes,
            "memory_kib": self.memory_kib,
        }


Stretching = Scrypt | Argon2id
STRETCHINGS: Final = {Scrypt.NAME: Scrypt, Argon2id.NAME: Argon2id}
_ANY: Final = 2**40


def parse_stretching(fields: StrictFields) -> Stretching:
    """The parameters in a header. Raises VaultError ``vault-damaged`` or ``vault-parameters``."""
    name = fields.choice("name", tuple(STRETCHINGS))
    stretching: Stretching
    if name == Scrypt.NAME:
        stretching = Scrypt(*(fields.number(field, 0, _ANY) for field in ("log2_n", "r", "p")))
    else:
        names = ("iterations", "lanes", "memory_kib")
        stretching = Argon2id(*(fields.number(field, 0, _ANY) for field in names))
    fields.finish()
    stretching.check()
    return stretching


def _check_cost(memory_kib: int, passes: int, *, within: bool) -> None:
    if not within or memory_kib > MOST_MEMORY_KIB or memory_kib * passes > MOST_WORK_KIB:
        raise _bad_parameters(
            "they are too cheap to protect a passphrase, or cost more than"
            f" {MOST_MEMORY_KIB // 1024} MiB or a few seconds"
        )


class _Kdf(Protocol):
    def derive_into(self, key_material: memoryview, buffer: bytearray) -> int: ...


def _derive(kdf: _Kdf, passphrase: Secret) -> Secret:
    derived = bytearray(KEY_SIZE)
    try:
        with passphrase.reveal() as view:
            kdf.derive_into(view, derived)
        return Secret(derived)
    except MemoryError:
        raise VaultError(
            "not-enough-memory",
            "There is not enough memory to open the vault",
            "The work that makes the passphrase strong takes memory that this machine lacks.",
            "Close other programs, or open the vault on another machine.",
        ) from None
    finally:
        derived[:] = bytes(KEY_SIZE)


def _bad_parameters(why: str) -> VaultError:
    return VaultError(
        "vault-parameters",
        "The vault asks for work that is out of bounds",
        f"Its parameters for the passphrase are refused: {why}.",
        "Put back a copy of the vault that Watchword wrote.",
    )
