# SPDX-License-Identifier: Apache-2.0
"""The options of everything that compares a measurement: what is expected, what was reported."""

from __future__ import annotations

import argparse
import os
import re

from ..errors import BadInput, UsageError
from ..files import read_file
from ..frozen import dataclass
from ..sev.firmware_version import FirmwareVersion, parse_api
from ..sev.measurement import ReportedMeasurement
from ..sev.policy import Policy
from .digest_options import DIGEST_OPTIONS, Loaded, add_digest_options, load_digest
from .hex_text import parse_digest
from .key_options import parse_build

_VALUE = re.compile(r"[A-Za-z0-9+/]{64}")
_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/=\s]", re.ASCII)


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
        "--launch-digest",
        metavar="HEX",
        help="the launch digest itself (or its base64), instead of files",
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
        help="`data` of query-sev-launch-measure, or sev-measurement of domlaunchsecinfo; or a"
        " file with what QMP, virsh or virtctl printed, which may tell --api and --build too",
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
    return Expectation(parse_digest(arguments.launch_digest, "--launch-digest"), None)


def load_claims(
    arguments: argparse.Namespace, policy: Policy
) -> tuple[FirmwareVersion, ReportedMeasurement, tuple[str, ...]]:
    """What the host reported: version, measurement, and what is odd about it.

    The policy of a file counts for nothing: the owner's own is ``policy``. Raises UsageError
    ``which-version`` or ``contradicting-options``, and BadInput for what is no measurement.
    """
    text = arguments.reported
    # 64 characters of base64 are the value, whatever a file may be called.
    if _VALUE.fullmatch(text) or not os.path.lexists(text):
        return _version(arguments, None), _value(text), ()
    from ..sev.measurement_files import LARGEST_ANSWER, read_told  # noqa: PLC0415 - for files

    told = read_told(read_file(text, "--reported", LARGEST_ANSWER), "--reported")
    if told.measurement is None:
        raise BadInput(
            "bad-measurement",
            "--reported",
            f"{text} holds an attestation report, and no launch measurement.",
            "Give the answer to query-sev-launch-measure; `report verify` takes reports.",
        )
    odd: tuple[str, ...] = ()
    if told.policy is not None and told.policy != policy.value:
        odd = (
            f"The host says that the VM's policy is 0x{told.policy:x}; --policy is what counts.",
        )
    reported = ReportedMeasurement.parse(told.measurement, "--reported")
    return _version(arguments, told.version), reported, odd


def _value(text: str) -> ReportedMeasurement:
    """The measurement in base64; what can't be that was meant as the name of a file."""
    try:
        return ReportedMeasurement.from_base64(text, "--reported")
    except BadInput as fault:
        if _NO_BASE64.search(text) is None:
            raise
        raise BadInput(
            fault.code,
            "--reported",
            f"{fault.message} Nor can a file of that name be read.",
            "Give `data` of query-sev-launch-measure as it is, in base64, or check the path.",
        ) from None


def _version(arguments: argparse.Namespace, told: FirmwareVersion | None) -> FirmwareVersion:
    """The version that the options name, or a file; both must not differ."""
    api = None if arguments.api is None else parse_api(arguments.api)
    build = None if arguments.build is None else parse_build(arguments.build, "--build")
    if told is None and (api is None or build is None):
        raise UsageError(
            "which-version",
            "The version of the host's SEV firmware is missing",
            "It is a part of what is measured, and --reported does not tell it.",
            "Give --api X.Y and --build N as query-sev reports them, or a file with the whole"
            " answer.",
        )
    if told is not None and not (api in (None, told.api) and build in (None, told.build)):
        raise UsageError(
            "contradicting-options",
            "--api and --build are not what the file of --reported tells",
            f"The file tells {told}.",
            "Leave the options out, or give the measurement that belongs to them.",
        )
    if told is not None:
        return told
    return FirmwareVersion(*(api or (0, 0)), build or 0)
