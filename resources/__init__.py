# SPDX-License-Identifier: Apache-2.0
"""Data that ships with Watchword: AMD's root keys, advisories, schemas."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from importlib.abc import ResourceLoader


def read_bytes(name: str) -> bytes:
    """The content of the resource file ``name`` (a plain file name).

    Asked of the loader itself: ``importlib.resources`` costs a plain command as much
    as all of its own imports.
    """
    folder = os.path.dirname(__file__)  # noqa: PTH120 - pathlib is not needed here otherwise
    loader: ResourceLoader = __spec__.loader  # type: ignore[assignment]
    return loader.get_data(os.path.join(folder, name))  # noqa: PTH118
