# SPDX-License-Identifier: Apache-2.0
"""Data that ships with Watchword: AMD's root keys, advisories, schemas."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from importlib.abc import ResourceLoader


def read_bytes(name: str) -> bytes:
    """The content of the resource file ``name`` (a plain file name).

    Asked of the loader itself: ``importlib.resources`` costs a plain command as much
    as all of its own imports.
    """
    folder = os.path.dirname(__file__)  # noqa: PTH120 - pathlib is not needed here otherwise
    loader = cast("ResourceLoader", __spec__ and __spec__.loader)
    return loader.get_data(os.path.join(folder, name))  # noqa: PTH118
