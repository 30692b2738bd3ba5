# SPDX-License-Identifier: Apache-2.0
"""Data that ships with Watchword: AMD's root keys, advisories."""

from importlib.resources import files


def read_bytes(name: str) -> bytes:
    """The content of the resource file ``name`` (a plain file name)."""
    return files(__name__).joinpath(name).read_bytes()
