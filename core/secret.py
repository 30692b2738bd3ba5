# SPDX-License-Identifier: Apache-2.0
"""The Secret type: bytes that don't leak by accident."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import UsageError

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from typing import NoReturn


class Secret:
    """Secret bytes in memory that can be overwritten.

    There is no useful ``repr``, no ``==``, no pickling and no copying. The bytes
    are lent out by :meth:`reveal` as a read-only view; :meth:`wipe` overwrites
    them, and the view of a wiped secret can't be had.
    Python may have made copies before the bytes came here: hand over a
    ``bytearray`` and wipe the original where that matters.
    """

    __slots__ = ("_data", "_wiped")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = bytearray(data)
        self._wiped = False

    def __len__(self) -> int:
        """The number of secret bytes (0 once wiped)."""
        return len(self._data)

    @property
    def wiped(self) -> bool:
        """Whether the bytes have been overwritten."""
        return self._wiped

    @contextmanager
    def reveal(self) -> Iterator[memoryview]:
        """Lend the bytes as a read-only view, which is released at the end of the block.

        Raises UsageError ``secret-wiped`` if the secret was wiped.
        """
        if self._wiped:
            raise UsageError(
                "secret-wiped",
                "The secret is gone",
                "These bytes were overwritten after their one use.",
                "Start a new launch.",
            )
        view = memoryview(self._data).toreadonly()
        try:
            yield view
        finally:
            view.release()

    def wipe(self) -> None:
        """Overwrite the bytes; may be called again."""
        self._data[:] = bytes(len(self._data))
        self._data = bytearray()
        self._wiped = True

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("secrets are not compared with ==")

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is neither pickled nor copied")

    def __copy__(self) -> NoReturn:
        raise TypeError("a secret is neither pickled nor copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("a secret is neither pickled nor copied")
