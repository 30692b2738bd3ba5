# SPDX-License-Identifier: Apache-2.0
"""``watchword launch handover`` and ``compare``: what a host starts a VM with, and what it has."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ExitStatus, UsageError, VerificationRefused
from ..files import read_file
from .command import Parser, Subparsers, add_command, whole_number
from .desk_options import add_desk_options, opened_desk
from .new_files import NewFile, refuse_existing, write_new_files
from .output import Console, Result

if TYPE_CHECKING:
    from ..guest.profile import GuestProfile
    from ..hosts.protocol import StartOrder
    from ..launch.handing_over import Placement
    from ..launch.start_files import StartForm

_FORMS = ("qemu", "libvirt", "kubevirt")
_WORDS = ("firmware", "kernel", "initrd", "cmdline", "disk", "monitor", "cpu")


def declare_handover(group: Subparsers[Parser]) -> None:
    """Add ``launch handover`` and ``launch compare``."""
    handover = add_command(
        group,
        "handover",
        summary="write what a host starts a prepared launch's VM with, whole",
        example="watchword launch handover ID --form libvirt --disk /srv/vm1.qcow2 --out vm1-start",
        run=_handover,
    )
    handover.add_argument("id", metavar="ID", help="the prepared launch")
    handover.add_argument("--form", choices=_FORMS, required=True, help="who starts the VM")
    handover.add_argument("--out", metavar="DIR", required=True, help="a new folder")
    handover.add_argument(
        "--merge", metavar="FILE", help="libvirt: the XML of a domain that there is already"
    )
    handover.add_argument(
        "--claim", metavar="NAME", help="kubevirt: the volume claim with the encrypted disk"
    )
    handover.add_argument(
        "--node", metavar="NAME", help="kubevirt: the machine that the launch was prepared for"
    )
    _add_placement(handover)
    compare = add_command(
        group,
        "compare",
        summary="hold a libvirt domain's XML against what a prepared launch needs",
        example="watchword launch compare ID --domain vm1.xml",
        run=_compare,
    )
    compare.add_argument("id", metavar="ID", help="the prepared launch")
    compare.add_argument(
        "--domain",
        metavar="FILE",
        required=True,
        help="what `virsh dumpxml --security-info DOMAIN` printed",
    )
    _add_placement(compare)


def _add_placement(parser: argparse.ArgumentParser) -> None:
    for name in ("firmware", "kernel", "initrd"):
        parser.add_argument(f"--{name}", metavar="PATH", help=f"where the {name} is on the host")
    parser.add_argument("--cmdline", metavar="TEXT", help="of several in the profile, this one")
    parser.add_argument("--vcpus", metavar="N", type=whole_number, help="of several, this number")
    parser.add_argument("--cpu", metavar="MODEL", help="of several in the profile, this model")
    parser.add_argument(
        "--memory", metavar="MIB", type=whole_number, default=2048, help="default 2048"
    )
    parser.add_argument("--disk", metavar="PATH", help="the encrypted disk on the host")
    parser.add_argument(
        "--disk-format", choices=("raw", "qcow2"), default="qcow2", help="default qcow2"
    )
    parser.add_argument("--monitor", metavar="PATH", help="where QMP is to listen on the host")
    for name in ("cbitpos", "reduced-phys-bits"):
        parser.add_argument(
            f"--{name}", metavar="N", type=whole_number, help="as the host's processor has it"
        )
    add_desk_options(parser)


def _placement(arguments: argparse.Namespace) -> Placement:
    from ..launch.handing_over import Placement  # noqa: PLC0415 - reads profiles

    words = {name: getattr(arguments, name) for name in _WORDS}
    return Placement(
        **words,
        vcpus=arguments.vcpus,
        memory=arguments.memory,
        disk_format=arguments.disk_format,
        cbitpos=arguments.cbitpos,
        reduced_phys_bits=arguments.reduced_phys_bits,
    )


def _prepared(
    arguments: argparse.Namespace, console: Console
) -> tuple[GuestProfile, StartOrder, str]:
    """Profile, start order and host of a launch that is prepared."""
    from ..launch.profile_plan import recorded_profile  # noqa: PLC0415 - reads profiles

    with opened_desk(arguments, console) as desk, desk.open(arguments.id) as run:
        start = run.start_order
        if start is None:
            raise _not_prepared(arguments.id)
        return recorded_profile(run.record), start, run.record.host


def _handover(arguments: argparse.Namespace, console: Console) -> Result:
    _check_options(arguments)
    folder = Path(arguments.out)
    from ..launch.start_files import start_files  # noqa: PLC0415 - parses XML

    made = start_files(*_prepared(arguments, console), _placement(arguments), _form(arguments))
    files = {name: folder / name for name in made.texts}
    refuse_existing(files.values(), "--out", "Name a new folder.")
    write_new_files(
        [NewFile(files[name], text.encode(), "--out") for name, text in made.texts.items()]
    )
    payload = {
        "launch": arguments.id,
        "form": arguments.form,
        "files": {name: str(path) for name, path in files.items()},
        "changes": list(made.changes),
        "requirements": list(made.must),
    }
    lines = [f"Wrote {path}." for path in files.values()]
    lines += [f"In the domain {note}." for note in made.changes]
    lines += ["", "What must be true of the host:", *(f"- {line}" for line in made.must)]
    return Result(payload, tuple(lines))


def _form(arguments: argparse.Namespace) -> StartForm:
    from ..handover.requirements import Form  # noqa: PLC0415 - with the rest
    from ..launch.start_files import StartForm  # noqa: PLC0415 - parses XML

    merge = None
    if arguments.merge is not None:
        merge = (_domain_file(arguments.merge, "--merge"), "--merge")
    return StartForm(
        form=Form(arguments.form), merge=merge, claim=arguments.claim, node=arguments.node
    )


def _compare(arguments: argparse.Namespace, console: Console) -> Result:
    from ..handover.domain_differences import domain_differences  # noqa: PLC0415 - parses XML
    from ..handover.domain_xml import parse_domain  # noqa: PLC0415 - as above
    from ..launch.handing_over import vm_order  # noqa: PLC0415 - reads profiles

    domain = parse_domain(_domain_file(arguments.domain, "--domain"), "--domain")
    order = vm_order(*_prepared(arguments, console), _placement(arguments))
    found = domain_differences(domain, order)
    payload = {"launch": arguments.id, "differences": [one.as_json() for one in found]}
    if not found:
        line = "The domain has everything that the launch needs. Only the measurement proves it."
        return Result(payload, (line,))
    from ..hosts.host_words import visible  # noqa: PLC0415 - at the end only

    lines = [
        f"{one.where}: needed “{visible(one.expected)}”, found “{visible(one.found)}”."
        f" {one.consequence}"
        for one in found
    ]
    return Result(payload, tuple(lines), ExitStatus.REFUSED, _differs(len(found)))


def _domain_file(path: str, option: str) -> bytes:
    from ..handover.domain_xml import LARGEST_DOMAIN  # noqa: PLC0415 - parses XML

    return read_file(path, option, LARGEST_DOMAIN)


def _check_options(arguments: argparse.Namespace) -> None:
    if arguments.merge is not None and arguments.form != "libvirt":
        raise _option("--merge", "goes with --form libvirt alone")
    if arguments.node is not None and arguments.form != "kubevirt":
        raise _option("--node", "goes with --form kubevirt alone")
    if (arguments.form == "kubevirt") is (arguments.claim is None):
        raise _option("--claim", "is needed with --form kubevirt, and goes with nothing else")


def _option(name: str, rule: str) -> UsageError:
    return UsageError(
        "options-do-not-fit",
        "These options don't go together",
        f"{name} {rule}.",
        "See `watchword launch handover --help`.",
    )


def _not_prepared(launch_id: str) -> UsageError:
    return UsageError(
        "launch-not-prepared",
        "The launch has no launch blob yet",
        f"Launch {launch_id} is not that far.",
        f"Take it on first: `watchword launch resume {launch_id}`.",
    )


def _differs(number: int) -> VerificationRefused:
    return VerificationRefused(
        "domain-differs",
        "The domain is not what the launch needs",
        f"{number} of what the launch rests on {'is' if number == 1 else 'are'} different.",
        "Have the domain changed: `watchword launch handover ID --form libvirt --merge FILE` writes"
        " one that fits.",
    )
