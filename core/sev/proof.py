# SPDX-License-Identifier: Apache-2.0
"""The base of values that stand for something verified: they can't be forged by accident."""

from __future__ import annotations

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from typing import Final, NoReturn

_CORE: Final = __name__.removesuffix("sev.proof")


class Proof:
    """A value that only its own module can make, and that nobody can change, copy or pickle.

    "No secret before verification" is carried by types: holding a
    ``VerifiedMeasurement`` is the evidence that a measurement was verified. So
    these objects must not come from anywhere but the function that verifies.
    Each module keeps a private token and hands it to the constructor; attributes
    are set once, there, with ``_establish``.
    """

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        """Refuse kinds of proof from elsewhere: a subclass could do without the token."""
        super().__init_subclass__()
        if not cls.__module__.startswith(_CORE):
            raise TypeError("a kind of proof can be defined in Watchword's core only")

    def _establish(self, **attributes: object) -> None:
        """Set the attributes of a new object (constructors only)."""
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise TypeError("a verified value can't be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise TypeError("a verified value can't be changed")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a verified value is neither pickled nor copied: verify again")

    def __copy__(self) -> NoReturn:
        raise TypeError("a verified value is neither pickled nor copied: verify again")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("a verified value is neither pickled nor copied: verify again")

    def __replace__(self, **changes: object) -> NoReturn:
        raise TypeError("a verified value can't be changed")


class Mint:
    """A module's private token: constructors of proofs accept only their own module's."""

    __slots__ = ("_module",)

    def __init__(self, module: str) -> None:
        self._module: Final = module

    def check(self, presented: object) -> None:
        """Raise TypeError unless ``presented`` is this very token."""
        if presented is not self:
            raise TypeError(f"only {self._module} makes this value, by verifying")
