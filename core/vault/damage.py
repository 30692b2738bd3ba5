# SPDX-License-Identifier: Apache-2.0
"""The errors that say a vault file can't be used, and the strict reading that finds it out."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from ..base64_text import decode_base64
from ..bounded_json import parse_json
from ..errors import BadInput, VaultError

_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*")


def damaged(what: str) -> VaultError:
    """VaultError ``vault-damaged``; ``what`` is a clause such as "its header is cut short"."""
    return VaultError(
        "vault-damaged",
        "The vault file is damaged",
        f"Nothing is read from it: {what}. It was changed by something other than Watchword,"
        " or the disk is failing.",
        "Put back the newest whole copy with `watchword vault restore FILE`.",
    )


class StrictFields:
    """Reads an object of a vault file field by field; anything unexpected is damage.

    Every method raises VaultError ``vault-damaged``, and :meth:`finish` does so where
    fields are left that nobody asked for.
    """

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise damaged(f"{where} is not what belongs there")
        self._left = dict(value)
        self._where = where

    @classmethod
    def parse(cls, data: bytes, where: str, *, deepest: int = 6) -> StrictFields:
        """The fields of a JSON text in UTF-8, whose size the caller has bounded."""
        try:
            return cls(parse_json(data.decode("utf-8"), where, deepest=deepest), where)
        except (BadInput, UnicodeDecodeError):
            raise damaged(f"{where} can't be read") from None

    def text(self, name: str, pattern: re.Pattern[str]) -> str:
        """A text that matches the pattern from end to end."""
        value = self._take(name)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self._bad(name)
        return value

    def choice(self, name: str, choices: Collection[str]) -> str:
        """One of these texts."""
        value = self._take(name)
        if not isinstance(value, str) or value not in choices:
            raise self._bad(name)
        return value

    def number(self, name: str, least: int, most: int) -> int:
        """A whole number from ``least`` to ``most``."""
        value = self._take(name)
        if type(value) is not int or not least <= value <= most:
            raise self._bad(name)
        return value

    def hex(self, name: str, size: int) -> bytes:
        """Exactly ``size`` bytes in lower-case hex."""
        digits = self.text(name, _HEX)
        if len(digits) != 2 * size:
            raise self._bad(name)
        return bytes.fromhex(digits)

    def base64(self, name: str, size: int) -> bytes:
        """Exactly ``size`` bytes in base64."""
        value = self._take(name)
        try:
            decoded = decode_base64(value, self._where, size) if isinstance(value, str) else b""
        except BadInput:
            raise self._bad(name) from None
        if len(decoded) != size:
            raise self._bad(name)
        return decoded

    def fields(self, name: str) -> StrictFields:
        """An object inside this one."""
        return StrictFields(self._take(name), f"{name} in {self._where}")

    def optional_fields(self, name: str) -> StrictFields | None:
        """An object inside this one, or None where there is null."""
        value = self._take(name)
        return None if value is None else StrictFields(value, f"{name} in {self._where}")

    def array(self, name: str) -> list[object]:
        """A list; the caller reads its members."""
        value = self._take(name)
        if not isinstance(value, list):
            raise self._bad(name)
        return value

    def finish(self) -> None:
        """Refuse what is left."""
        if self._left:
            raise damaged(f"{self._where} holds something that nobody knows")

    def _take(self, name: str) -> object:
        if name not in self._left:
            raise self._bad(name)
        return self._left.pop(name)

    def _bad(self, name: str) -> VaultError:
        return damaged(f"{name} in {self._where} is not what belongs there")
