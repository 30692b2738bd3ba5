# SPDX-License-Identifier: Apache-2.0
"""The options that bring transport keys, policy and firmware version to a command."""

from __future__ import annotations

import argparse
import re

from ..errors import BadInput, UsageError
from ..files import read_secret
from ..secret import Secret
from ..sev.firmware_version import FirmwareVersion, parse_api
from ..sev.measurement import FirmwareRequirements
from ..sev.policy import DEFAULT_POLICY, OLDEST_SAFE_API, Policy, parse_policy

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from ..launch.sev_plan import AdoptedKeys

# As in sev.session, whose elliptic curves and ciphers a plain comparison doesn't need.
KEY_SIZE = 16
_BUILD = re.compile(r"0x[0-9a-f]{1,2}|[0-9]{1,3}", re.ASCII)


def add_policy_option(parser: argparse.ArgumentParser, *, waivable: bool) -> None:
    """``--policy``, and where a weak one may be accepted ``--waive-policy``."""
    default = f"0x{DEFAULT_POLICY.value:x}"
    parser.add_argument(
        "--policy",
        metavar="P",
        required=True,
        help=f"hex, decimal or names (nodbg,noks,es,…); `default` is {default}",
    )
    if waivable:
        parser.add_argument(
            "--waive-policy", metavar="REASON", help="accept a weak policy, for this reason"
        )


def load_policy(arguments: argparse.Namespace) -> Policy:
    """The policy that ``--policy`` names."""
    return parse_policy(arguments.policy)


def add_tik_options(parser: argparse.ArgumentParser, *, with_tek: bool) -> None:
    """``--tk``, or ``--tik`` and, for sealing, ``--tek``."""
    group = parser.add_argument_group("transport keys")
    group.add_argument(
        "--tk", metavar="FILE", help="TEK and TIK in 32 bytes (sev-tool's tmp_tk.bin)"
    )
    if with_tek:
        group.add_argument("--tek", metavar="FILE", help="TEK alone, 16 bytes")
    group.add_argument("--tik", metavar="FILE", help="TIK alone, 16 bytes")


def load_keys(arguments: argparse.Namespace) -> AdoptedKeys:
    """TEK and TIK from ``--tk`` or ``--tek --tik``; UsageError if they are not both given."""
    from ..launch.sev_plan import AdoptedKeys  # noqa: PLC0415 - only for what sends secrets

    tek, tik = arguments.tek, arguments.tik
    if arguments.tk is not None and tek is None and tik is None:
        return AdoptedKeys(*_split_keys(arguments.tk))
    if arguments.tk is None and tek is not None and tik is not None:
        return AdoptedKeys(_read_key(tek, "--tek"), _read_key(tik, "--tik"))
    raise _which_keys("--tk FILE, or --tek FILE and --tik FILE")


def load_tik(arguments: argparse.Namespace) -> Secret:
    """TIK from ``--tik`` or the second half of ``--tk``."""
    tek, tik = load_tek_and_tik(arguments)
    if tek is not None:
        tek.wipe()
    return tik


def load_tek_and_tik(arguments: argparse.Namespace) -> tuple[Secret | None, Secret]:
    """TIK, and TEK where ``--tk`` brings it along: people swap the two."""
    if (arguments.tk is None) == (arguments.tik is None):
        raise _which_keys("--tik FILE, or --tk FILE")
    if arguments.tik is not None:
        return None, _read_key(arguments.tik, "--tik")
    return _split_keys(arguments.tk)


def _which_keys(choice: str) -> UsageError:
    return UsageError(
        "which-keys",
        "The transport keys are missing, or given twice",
        "They were written when the launch blob was made.",
        f"Give {choice}.",
    )


def _read_key(path: str, field: str) -> Secret:
    key = read_secret(path, field, limit=4096)
    if len(key) != KEY_SIZE:
        size = len(key)
        key.wipe()
        raise BadInput(
            "bad-transport-key",
            field,
            f"{path} has {size} bytes; a transport key has {KEY_SIZE}.",
            "sev-tool's tmp_tk.bin holds both keys: give it with --tk.",
        )
    return key


def _split_keys(path: str) -> tuple[Secret, Secret]:
    """TEK and TIK, in that order."""
    both = read_secret(path, "--tk", limit=4096)
    try:
        if len(both) != 2 * KEY_SIZE:
            raise BadInput(
                "bad-transport-key",
                "--tk",
                f"{path} has {len(both)} bytes; TEK and TIK together have {2 * KEY_SIZE}.",
                "Give sev-tool's tmp_tk.bin, or each key by itself with --tek and --tik.",
            )
        with both.reveal() as view:
            return Secret(view[:KEY_SIZE]), Secret(view[KEY_SIZE:])
    finally:
        both.wipe()


def add_version_options(parser: argparse.ArgumentParser, *, told_by_file: bool = False) -> None:
    """``--api`` and ``--build`` as query-sev reports them.

    ``told_by_file``  a file of ``--reported`` may tell them instead
    """
    group = parser.add_argument_group("the host's SEV firmware, as query-sev reports it")
    needed = not told_by_file
    group.add_argument("--api", metavar="X.Y", required=needed, help="api-major.api-minor, decimal")
    group.add_argument(
        "--build", metavar="N", required=needed, help="build id, decimal (or hex with 0x)"
    )


def load_version(arguments: argparse.Namespace) -> FirmwareVersion:
    """The firmware version that the options name."""
    return FirmwareVersion(*parse_api(arguments.api), parse_build(arguments.build, "--build"))


def parse_build(text: str, field: str) -> int:
    """A build id, decimal or hex with 0x; UsageError ``bad-build``."""
    digits = text.strip().lower()
    if _BUILD.fullmatch(digits):
        build = int(digits, 16 if digits.startswith("0x") else 10)
        if build <= 255:
            return build
    raise UsageError(
        "bad-build",
        f"Can't read {field}",
        f"{text[:20]!r} is not a number from 0 to 255.",
        "QEMU and libvirt print the build id in decimal; write hex with 0x.",
    )


def add_requirement_options(parser: argparse.ArgumentParser) -> None:
    """``--min-api`` and ``--min-build``."""
    group = parser.add_argument_group("what the host's SEV firmware must be")
    oldest = "{}.{}".format(*OLDEST_SAFE_API)
    group.add_argument(
        "--min-api", metavar="X.Y", help=f"least API; default: the policy's, at least {oldest}"
    )
    group.add_argument("--min-build", metavar="N", default="0", help="least build of that API")


def load_requirements(arguments: argparse.Namespace, policy: Policy) -> FirmwareRequirements:
    """The owner's requirements, with the table of known-bad builds.

    Raises UsageError ``build-without-api``.
    """
    from ..amd.advisories import published_advisories  # noqa: PLC0415 - reads a resource

    named = arguments.min_api
    build = parse_build(arguments.min_build, "--min-build")
    if named is None and build:
        raise UsageError(
            "build-without-api",
            "--min-build needs --min-api",
            "A build is one of an API: the same number means another firmware under the next.",
            "Give --min-api X.Y with it, the API that the build belongs to.",
        )
    minimum = policy.minimum_api if named is None else parse_api(named)
    return FirmwareRequirements(max(minimum, OLDEST_SAFE_API), build, published_advisories())
