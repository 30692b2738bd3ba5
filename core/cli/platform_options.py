# SPDX-License-Identifier: Apache-2.0
"""The options that name a platform's certificates, and which root they may lead to."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..amd.advisories import published_advisories
from ..amd.roots import amd_roots
from ..errors import BadInput, UsageError
from ..files import read_file
from ..sev.certificates import AmdCertificate
from ..sev.chain import PlatformCertificates
from ..sev.chain_files import (
    LARGEST_FILE,
    RecognisedChain,
    fingerprint_pin,
    is_signed_cek,
    recognise,
)
from ..sev.peer_names import Kind
from ..sev.platform import Platform, verify_chain
from .hex_text import parse_hex
from .output import Console
from .peer_folder import with_folders


def add_trust_options(parser: argparse.ArgumentParser) -> None:
    """``--oca``, ``--pin-cek`` and ``--trust-root``."""
    parser.add_argument(
        "--oca",
        metavar="FILE",
        help="the owner CA that the platform must have (or its fingerprint)",
    )
    parser.add_argument(
        "--pin-cek",
        metavar="HEX",
        action="append",
        default=[],
        help="CEK fingerprint that the platform must have; may be repeated",
    )
    parser.add_argument(
        "--trust-root",
        metavar="FILE",
        action="append",
        default=[],
        help="an ARK that is not AMD's and is to be trusted all the same",
    )


def add_cek_options(parser: argparse.ArgumentParser) -> None:
    """``--cek``, ``--fetch-cek`` and ``--key-service``: where AMD's copy of the CEK comes from."""
    parser.add_argument("--cek", metavar="FILE", help="AMD's signed copy of the CEK")
    parser.add_argument(
        "--fetch-cek",
        action="store_true",
        help="ask AMD's key service where the CEK came unsigned; it learns the chip id",
    )
    add_key_service_option(parser)


def add_key_service_option(parser: argparse.ArgumentParser) -> None:
    """``--key-service``, for mirrors."""
    parser.add_argument("--key-service", metavar="URL", help="another key service than AMD's own")


def recognise_platform(arguments: argparse.Namespace, console: Console) -> RecognisedChain:
    """The certificates of FILE and ``--cek``, completed by AMD's copy of the CEK if one is known.

    Nothing is looked for where the chain has a signed CEK already.
    """
    return _completed(arguments, arguments.files, "FILE", console)


def _completed(
    arguments: argparse.Namespace, files: Sequence[str], field: str, console: Console
) -> RecognisedChain:
    paths = [*files, *([arguments.cek] if arguments.cek is not None else [])]
    recognised = recognise_files(paths, field)
    cek = recognised.certificates.cek
    if cek is None or is_signed_cek(cek):
        return recognised
    from .cek_options import complete_chain  # noqa: PLC0415 - rarely needed, and large

    return complete_chain(arguments, recognised, console)


def read_certificate_files(paths: Sequence[str], field: str) -> tuple[tuple[str, bytes], ...]:
    """Names and contents of certificate files, unjudged; of a folder those in it."""
    named = with_folders(paths, field, (Kind.CHAIN,))
    return tuple((path, read_file(path, field, LARGEST_FILE)) for path in named)


def recognise_files(paths: Sequence[str], field: str) -> RecognisedChain:
    """The certificates in these files."""
    return recognise(read_certificate_files(paths, field))


def load_trusted_roots(arguments: argparse.Namespace) -> tuple[AmdCertificate, ...]:
    """The ARKs that ``--trust-root`` names; BadInput for a file without one."""
    return tuple(_load_root(path) for path in arguments.trust_root)


def _load_root(path: str) -> AmdCertificate:
    ark = recognise_files([path], "--trust-root").certificates.ark
    if ark is None:
        raise BadInput(
            "no-root-in-file",
            "--trust-root",
            f"{path} holds no ARK.",
            "Give the root certificate itself, such as ark.cert.",
        )
    return AmdCertificate.parse(ark, "--trust-root")


def load_oca_pin(arguments: argparse.Namespace) -> str | None:
    """The fingerprint that the platform's OCA must have, if one is pinned."""
    if arguments.oca is None:
        return None
    path = Path(arguments.oca)
    # A fingerprint is never the name of a file that somebody has by accident.
    is_digits = len(arguments.oca) == 64 and not path.exists()
    content = None if is_digits else read_file(arguments.oca, "--oca", LARGEST_FILE)
    return fingerprint_pin(arguments.oca, content)


def load_cek_pins(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The CEK fingerprints (SHA-256 in hex) of which the platform must have one."""
    return tuple(parse_hex(text, "--pin-cek", 32).hex() for text in arguments.pin_cek)


def add_platform_files(parser: argparse.ArgumentParser) -> None:
    """``--platform`` with the options of trust, for commands that work with foreign keys."""
    parser.add_argument(
        "--platform",
        metavar="FILE",
        nargs="+",
        default=[],
        help="the platform's certificates, to be verified first; the keys can't tell which"
        " platform they were made for",
    )
    add_trust_options(parser)
    add_cek_options(parser)


def completed_files(
    arguments: argparse.Namespace, console: Console
) -> tuple[tuple[str, bytes], ...]:
    """The files of ``--platform`` and ``--cek``, and AMD's copy of the CEK where it is known."""
    paths = [*arguments.platform, *([arguments.cek] if arguments.cek is not None else [])]
    files = read_certificate_files(paths, "--platform")
    if not arguments.platform:
        return files
    before = recognise(files).certificates
    after = _completed(arguments, arguments.platform, "--platform", console).certificates
    if after.cek is None or after.cek == before.cek:
        return files
    return (*files, ("AMD's copy of the CEK", after.cek))


def refuse_trust_without_platform(arguments: argparse.Namespace) -> None:
    """UsageError for ``--oca`` or ``--trust-root`` where there is nothing to hold against it."""
    if arguments.platform or not (arguments.oca or arguments.pin_cek or arguments.trust_root):
        return
    raise UsageError(
        "no-platform",
        "The platform's certificates are missing",
        "--oca, --pin-cek and --trust-root say which chain is to be trusted, but none is given.",
        "Give --platform FILE, or leave them out.",
    )


@dataclass(frozen=True, slots=True)
class NamedPlatform:
    """The verified platform of ``--platform``, with the certificates that were verified."""

    platform: Platform
    certificates: PlatformCertificates
    warnings: tuple[str, ...]


def load_platform(arguments: argparse.Namespace, console: Console) -> NamedPlatform | None:
    """What ``--platform`` names, verified; None where nothing is named."""
    refuse_trust_without_platform(arguments)
    if not arguments.platform:
        return None
    recognised = _completed(arguments, arguments.platform, "--platform", console)
    platform = verify_chain(
        recognised.certificates,
        amd_roots(),
        published_advisories(),
        trusted_roots=load_trusted_roots(arguments),
        oca_pin=load_oca_pin(arguments),
        cek_pins=load_cek_pins(arguments),
    )
    warnings = (*recognised.warnings, *platform.report.warnings)
    return NamedPlatform(platform, recognised.certificates, warnings)
