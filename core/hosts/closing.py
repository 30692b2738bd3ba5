# SPDX-License-Identifier: Apache-2.0
"""The async context manager of whatever reaches a host: leaving the block closes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """``async with`` something that is closed at the block's end; the block's errors pass on."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of what is held; may be called again."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
