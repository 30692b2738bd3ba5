# SPDX-License-Identifier: Apache-2.0
"""The options that make a guest profile, as the values of its document."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ..errors import UsageError
from ..guest.rules import FILES, needs_es
from .command import HOST_HELP
from .guest_host import readable_host

_HASH: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_TEXTS: Final = ("description", "minimum_api", "minimum_build", "vcpus", "vmsa", "sev_features")


def add_profile_options(parser: argparse.ArgumentParser) -> None:
    """Everything that a profile can say; options for sets may be repeated."""
    _add_what_is_loaded(parser)
    _add_where_it_runs(parser)
    parser.add_argument(
        "--secret",
        metavar="NAME=ENTRY",
        action="append",
        default=[],
        help="a GUID or name (disk-passphrase, …) and the vault entry that goes there;"
        " never the secret itself; may be repeated",
    )
    parser.add_argument(
        "--route", metavar="ROUTE", help="who reads the disk passphrase: grub or kernel"
    )
    parser.add_argument("--description", metavar="TEXT", help="for people")


def _add_what_is_loaded(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what the guest loads; what is repeated makes a set")
    several: dict[str, Any] = {"action": "append", "default": []}
    what = {"firmware": "firmware image", "kernel": "kernel, measured", "initrd": "initrd"}
    for name, text in what.items():
        group.add_argument(f"--{name}", metavar="FILE", help=text, **several)
        group.add_argument(
            f"--{name}-sha256", metavar="HEX", help="an approved hash alone", **several
        )
    group.add_argument("--cmdline", metavar="TEXT", help="kernel command line", **several)
    group.add_argument(
        "--cmdline-sha256", metavar="HEX", help="SHA-256 of the text and a NUL", **several
    )
    group.add_argument("--vcpus", metavar="SET", help="numbers of vCPUs: 4, 1-8 or 1-4,8")
    group.add_argument("--cpu", metavar="MODEL", help="QEMU model or 25/1/1", **several)
    group.add_argument("--vmsa", metavar="GENERATION", help="auto (default), legacy or init2")
    group.add_argument("--sev-features", metavar="HEX", help="SEV_FEATURES, default 0")


def _add_where_it_runs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where it may run")
    group.add_argument(
        "--policy", metavar="POLICY", default="default", help="guest policy: hex, decimal or names"
    )
    group.add_argument("--min-api", dest="minimum_api", metavar="X.Y", help="least firmware API")
    group.add_argument("--min-build", dest="minimum_build", metavar="N", help="least build of it")
    group.add_argument("--oca", metavar="FILE", help="the owner CA that it must have, or its hash")
    group.add_argument(
        "--cek",
        metavar="HEX",
        action="append",
        default=[],
        help="fingerprint of the CEK of a chip that it may run on; may be repeated",
    )
    group.add_argument("--host", metavar="URL", help=HOST_HELP)


def document_from_options(arguments: argparse.Namespace, now: datetime) -> dict[str, Any]:
    """The profile's document, unchecked; files are named and not yet approved.

    Raises UsageError for a bad host URL or ``--secret``.
    """
    document: dict[str, Any] = {"name": arguments.name, "policy": arguments.policy}
    document["technology"] = "sev" if needs_es(document) is False else "sev-es"
    for key in (*_TEXTS, "route"):
        document[key] = getattr(arguments, key)
    for component in FILES:
        document[component] = _files(arguments, component, now)
    document["cmdline"] = [
        *arguments.cmdline,
        *({"sha256": digits} for digits in arguments.cmdline_sha256),
    ]
    document["cpu"] = arguments.cpu
    document["ceks"] = arguments.cek
    document["oca"] = None if arguments.oca is None else hash_or_path(arguments.oca)
    document["host"] = None if arguments.host is None else readable_host(arguments.host)
    document["secrets"] = dict(_pairs(arguments.secret))
    return {key: value for key, value in document.items() if value not in (None, [], {})}


def _files(arguments: argparse.Namespace, component: str, now: datetime) -> list[dict[str, Any]]:
    paths: Sequence[str] = getattr(arguments, component)
    hashes: Sequence[str] = getattr(arguments, f"{component}_sha256")
    return [
        *({"path": whole_path(path)} for path in paths),
        *({"sha256": digits, "approved": now} for digits in hashes),
    ]


def whole_path(text: str) -> str:
    """The path from / on; links in it are left as they are."""
    return str(Path(text).absolute()) if text else text


def hash_or_path(text: str) -> str:
    """A fingerprint as it is; anything else, and a file of such a name, as a whole path."""
    is_hash = _HASH.fullmatch(text) and not Path(text).exists()
    return text if is_hash else whole_path(text)


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, entry = text.partition("=")
        if not equals or name in pairs:
            # The text is not repeated here: it may be the secret itself.
            raise UsageError(
                "bad-secret-option",
                "Can't read --secret",
                "It takes NAME=ENTRY, each name once.",
                "Write --secret disk-passphrase=ENTRY with the name of a vault entry.",
            )
        pairs[name] = entry
    return pairs
