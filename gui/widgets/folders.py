# SPDX-License-Identifier: Apache-2.0
"""Where files were looked for last, by purpose, so that a dialog opens there again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType


class RememberedFolders:
    """Folders by purpose, such as ``firmware``; whoever starts the program keeps them on disk."""

    def __init__(self, folders: Mapping[str, str] | None = None) -> None:
        self._folders = dict(folders or {})

    def __getitem__(self, purpose: str) -> str:
        """The folder for a purpose; the one used last for any if that is not known."""
        return self._folders.get(purpose) or self._folders.get("", "")

    def remember(self, purpose: str, path: str) -> None:
        """Remember the folder of a file that was chosen."""
        folder = str(PurePath(path).parent)
        self._folders[purpose] = self._folders[""] = folder

    def update(self, folders: Mapping[str, str]) -> None:
        """Take over what was kept from an earlier run."""
        self._folders.update(folders)

    def as_mapping(self) -> Mapping[str, str]:
        """All of them, to be kept."""
        return MappingProxyType(dict(self._folders))


remembered = RememberedFolders()
"""The program's own; ``update`` it from what was kept, once, at the start."""
