# SPDX-License-Identifier: Apache-2.0
"""The options of ``rehearse --qemu``, and the guest, disk and signs that they name."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ..errors import UsageError
from ..files import BOOT_FILE_LIMIT, read_file
from ..launch.sev_plan import SecretOrder
from ..rehearsal.guest import RehearsedGuest
from ..sev.firmware import FIRMWARE_LIMIT
from ..sev.policy import approve_policy, parse_policy
from ..sev.secret_table import Route, parse_secret_name
from .command import whole_number
from .key_options import parse_build
from .output import Console
from .rehearsed_vcpus import vcpus_of
from .secret_options import add_secret_options, load_secret_orders
from .simulated_guest import approved_image
from .vault_options import add_vault_options, opened_vault

if TYPE_CHECKING:
    from ..guest.profile import GuestProfile, SecretReference
    from ..rehearsal.qemu_run import QemuSetup

_QEMU_ONLY: Final[tuple[tuple[str, object], ...]] = (
    ("guest", None),
    ("disk", None),
    ("disk_format", None),
    ("host_disk", None),
    ("memory", None),
    ("time_limit", None),
    ("unlocked_when", []),
    ("console", False),
    ("secret", []),
    ("test_secret", []),
    ("vault_secret", []),
    ("route", None),
)


def add_qemu_options(parser: argparse.ArgumentParser) -> None:
    """``--qemu`` and everything that makes sense only with it."""
    group = parser.add_argument_group("a real guest (needs the package qemu-system-x86)")
    group.add_argument(
        "--qemu", action="store_true", help="boot the guest in a real QEMU, without SEV"
    )
    group.add_argument(
        "--guest", metavar="PROFILE", help="a guest profile, whose values are the defaults"
    )
    group.add_argument(
        "--disk", metavar="FILE", help="the guest's encrypted disk; it is never written to"
    )
    group.add_argument(
        "--disk-format", choices=("raw", "qcow2"), help="default: by the image's first bytes"
    )
    group.add_argument("--memory", metavar="MIB", type=whole_number, help="default 512")
    group.add_argument(
        "--host-disk", metavar="FILE", help="what the host offers with --attack own-disk"
    )
    group.add_argument(
        "--time-limit", metavar="SECONDS", type=whole_number, help="until the verdict, default 180"
    )
    group.add_argument(
        "--unlocked-when",
        metavar="TEXT",
        action="append",
        default=[],
        help="what the console says once the disk is open, in place of the usual signs",
    )
    group.add_argument(
        "--console", action="store_true", help="show the guest's serial console on stderr"
    )
    add_secret_options(parser, required=False)
    parser.add_argument(
        "--vault-secret",
        metavar="NAME=ENTRY",
        action="append",
        default=[],
        help="a GUID or name, and the vault entry that goes there; may be repeated",
    )
    add_vault_options(parser)


def refuse_without_qemu(arguments: argparse.Namespace) -> None:
    """UsageError ``needs-qemu`` for an option that would be passed over in silence."""
    for name, unused in _QEMU_ONLY:
        if getattr(arguments, name) != unused:
            option = "--" + name.replace("_", "-")
            raise UsageError(
                "needs-qemu",
                f"{option} needs --qemu",
                "Without a real guest there is nothing that it could be for.",
                f"Add --qemu, or leave {option} out.",
            )


@contextlib.contextmanager
def guest_to_rehearse(arguments: argparse.Namespace, console: Console) -> Iterator[RehearsedGuest]:
    """What the options and the profile name; the vault stays open as long as it is in use."""
    profile = _profile(arguments)
    named = load_secret_orders(arguments)
    references = _references(arguments)
    if profile is not None and not (named or references):
        references = profile.secret_references
    with contextlib.ExitStack() as stack:
        orders = named
        if references:
            from ..launch.vault_secrets import secret_order  # noqa: PLC0415 - with a vault

            vault = stack.enter_context(opened_vault(arguments, console))
            orders += tuple(secret_order(reference, vault) for reference in references)
        yield _guest(arguments, profile, orders)


def load_setup(arguments: argparse.Namespace) -> QemuSetup:
    """Disk, memory, signs and time; raises as ``qemu_setup`` and ``image_kind``."""
    from ..rehearsal.setup import qemu_setup  # noqa: PLC0415 - QEMU

    return qemu_setup(
        disk=_image(arguments.disk, "--disk", arguments.disk_format),
        host_disk=_image(arguments.host_disk, "--host-disk", None),
        memory=arguments.memory,
        limit=arguments.time_limit,
        unlocked_when=arguments.unlocked_when,
    )


def _image(path: str | None, field: str, kind: str | None) -> tuple[str, str] | None:
    if path is None:
        return None
    from ..image.image_kind import image_kind  # noqa: PLC0415 - with a disk alone

    return path, image_kind(path, field, kind)


def _profile(arguments: argparse.Namespace) -> GuestProfile | None:
    if arguments.guest is None:
        return None
    from ..guest.store import ProfileStore, profiles_folder  # noqa: PLC0415 - pydantic

    return ProfileStore(profiles_folder()).load(arguments.guest).profile


def _guest(
    arguments: argparse.Namespace,
    profile: GuestProfile | None,
    secrets: tuple[SecretOrder, ...],
) -> RehearsedGuest:
    policy = parse_policy(arguments.policy or "default")
    if arguments.policy is None and profile is not None:
        policy = profile.policy
    firmware = _content(arguments, profile, "firmware", FIRMWARE_LIMIT)
    if firmware is None:
        raise _missing("firmware", "A guest that really boots needs a firmware image (AmdSev OVMF)")
    kernel = _content(arguments, profile, "kernel", BOOT_FILE_LIMIT)
    initrd = _content(arguments, profile, "initrd", BOOT_FILE_LIMIT)
    cmdline = arguments.cmdline
    build = arguments.min_build or "0"
    if profile is not None:
        from ..rehearsal.profile_guest import profile_cmdline  # noqa: PLC0415 - pydantic

        cmdline = profile_cmdline(profile) if cmdline is None else cmdline
        build = arguments.min_build or str(profile.minimum_build)
    if kernel is None and (initrd is not None or cmdline is not None):
        raise _missing("kernel", "There is an initrd or command line, but no kernel")
    route = profile.route if profile is not None else None
    return RehearsedGuest(
        firmware=firmware,
        kernel=kernel,
        initrd=initrd,
        cmdline=cmdline,
        vcpus=vcpus_of(arguments, policy, profile),
        policy=approve_policy(policy, arguments.waive_policy),
        approved_firmware=approved_image(arguments, firmware, kernel),
        minimum_build=parse_build(build, "--min-build"),
        secrets=secrets,
        route=Route(arguments.route) if arguments.route is not None else route,
    )


def _content(
    arguments: argparse.Namespace, profile: GuestProfile | None, name: str, limit: int
) -> bytes | None:
    path = getattr(arguments, name)
    if path is not None:
        return read_file(path, f"--{name}", limit)
    if profile is None or not getattr(profile, name):
        return None
    from ..rehearsal.profile_guest import profile_file  # noqa: PLC0415 - pydantic

    return profile_file(profile, name)


def _references(arguments: argparse.Namespace) -> tuple[SecretReference, ...]:
    return tuple(_reference(text) for text in arguments.vault_secret)


def _reference(text: str) -> SecretReference:
    from ..guest.profile import SecretReference  # noqa: PLC0415 - pydantic

    name, equals, entry = text.partition("=")
    if not equals or not entry:
        raise UsageError(
            "bad-secret-option",
            "Can't read --vault-secret",
            "It takes NAME=ENTRY.",
            "Write --vault-secret disk-passphrase=ENTRY, with the name of a vault entry.",
        )
    return SecretReference(name, parse_secret_name(name), entry)


def _missing(component: str, what: str) -> UsageError:
    return UsageError(
        f"{component}-missing",
        f"There is no {component}",
        f"{what}.",
        f"Add --{component} FILE, or --guest PROFILE with one.",
    )
