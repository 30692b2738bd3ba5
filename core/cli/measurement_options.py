# SPDX-License-Identifier: Apache-2.0
"""The options of everything that compares a measurement: what is expected, what was reported."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..files import read_chunks
from ..sev.firmware_size import FIRMWARE_LIMIT, check_image_size
from ..sev.measurement import ReportedMeasurement
from ..sev.policy import Policy
from .digest_arguments import DIGEST_OPTIONS, add_digest_options
from .hex_text import parse_hex

if TYPE_CHECKING:
    from .digest_options import Loaded


@dataclass(frozen=True, slots=True)
class Expectation:
    """The launch digest (32 bytes) that a measurement must be of, and where it comes from.

    ``loaded``  None where only the digest is known, or where the ``image`` was only hashed
    """

    digest: bytes
    loaded: Loaded | None
    image: str | None = None

    def require_secret_area(self) -> int | None:
        """Bytes of the firmware's secret area; None where it is not known, BadInput if none."""
        return self.loaded.require_secret_area() if self.loaded is not None else None

    @property
    def direct_boot(self) -> bool:
        """Whether a kernel is measured, so that the kernel route is taken."""
        return self.loaded is not None and self.loaded.direct_boot


def add_expectation_options(parser: argparse.ArgumentParser) -> None:
    """The digest options, or ``--launch-digest``."""
    add_digest_options(parser)
    parser.add_argument(
        "--launch-digest", metavar="HEX", help="the launch digest itself, instead of files"
    )
    parser.add_argument(
        "--also-firmware",
        metavar="FILE",
        action="append",
        default=[],
        help="another image that the host may have used; read only to explain a mismatch",
    )


def add_reported_option(parser: argparse.ArgumentParser) -> None:
    """``--reported``, what the host says."""
    parser.add_argument(
        "--reported",
        metavar="B64",
        required=True,
        help="`data` of query-sev-launch-measure, or sev-measurement of domlaunchsecinfo",
    )


def load_expectation(arguments: argparse.Namespace, policy: Policy) -> Expectation:
    """The launch digest to expect under this policy, and what it is made of."""
    if arguments.launch_digest is None:
        from .digest_options import load_digest  # noqa: PLC0415 - see expected_digest

        loaded = load_digest(arguments, policy)
        return Expectation(loaded.digest.value, loaded)
    if any(getattr(arguments, name) is not None for name in DIGEST_OPTIONS):
        raise UsageError(
            "contradicting-options",
            "--launch-digest and what it is made of say the same thing twice",
            "Which of them would count can't be told.",
            "Give the launch digest, or what it is made of.",
        )
    return Expectation(parse_hex(arguments.launch_digest, "--launch-digest", 32), None)


def expected_digest(arguments: argparse.Namespace, policy: Policy) -> Expectation:
    """The launch digest alone, for commands that release nothing.

    Under plain SEV without a kernel it is the image's SHA-256, and what else can be
    known of an image would cost such a command most of its time.
    """
    others = (name for name in ("launch_digest", *DIGEST_OPTIONS) if name != "firmware")
    plain = not policy.needs_es and all(getattr(arguments, name) is None for name in others)
    if arguments.firmware is None or not plain:
        return load_expectation(arguments, policy)
    running, size = hashlib.sha256(), 0
    for chunk in read_chunks(arguments.firmware, "--firmware", limit=FIRMWARE_LIMIT):
        running.update(chunk)
        size += len(chunk)
    check_image_size(size, "--firmware")
    return Expectation(running.digest(), None, arguments.firmware)


def load_reported(arguments: argparse.Namespace) -> ReportedMeasurement:
    """What the host reported."""
    return ReportedMeasurement.from_base64(arguments.reported, "--reported")
