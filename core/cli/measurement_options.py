# SPDX-License-Identifier: Apache-2.0
"""The options of everything that compares a measurement: what is expected, what was reported."""

from __future__ import annotations

import argparse

from ..errors import UsageError
from ..frozen import dataclass
from ..sev.measurement import ReportedMeasurement
from ..sev.policy import Policy
from .digest_options import DIGEST_OPTIONS, Loaded, add_digest_options, load_digest
from .hex_text import parse_hex


@dataclass(frozen=True, slots=True)
class Expectation:
    """The launch digest (32 bytes) that a measurement must be of, and where it comes from."""

    digest: bytes
    loaded: Loaded | None

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
    """The launch digest to expect under this policy."""
    if arguments.launch_digest is None:
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


def load_reported(arguments: argparse.Namespace) -> ReportedMeasurement:
    """What the host reported."""
    return ReportedMeasurement.from_base64(arguments.reported, "--reported")
