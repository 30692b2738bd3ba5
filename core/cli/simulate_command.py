# SPDX-License-Identifier: Apache-2.0
"""``watchword simulate``: a simulated platform that stands in for QEMU, until told to quit."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from ..errors import ExitStatus, WatchwordError
from ..files import make_folder, read_file, write_file
from ..sev.cpu_models import parse_cpu
from ..sev.digest import VcpuSetup
from ..sev.policy import parse_policy
from ..sev.vmsa import VmsaGeneration
from ..simulator import (
    PlatformKeys,
    SaveAreaKind,
    SimulatedHost,
    StartOrder,
    attack_named,
    open_platform,
)
from .command import Parser, Subparsers, add_command, whole_number
from .output import Console, Result
from .simulated_guest import add_boot_options, read_boot_file, read_firmware, socket_address

_LARGEST_SESSION_FILE = 64 << 10


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``simulate``."""
    parser = add_command(
        subparsers,
        "simulate",
        summary="serve QMP as a QEMU on a simulated SEV platform would, until `quit` or Ctrl-C",
        example="watchword simulate --socket /tmp/vm1.sock --state /tmp/platform"
        " --dh-cert-file vm1_godh.b64 --session-file vm1_session.b64 --policy default",
        run=_simulate,
    )
    parser.add_argument(
        "--socket", metavar="PATH|HOST:PORT", required=True, help="where to listen for QMP"
    )
    parser.add_argument("--dh-cert-file", metavar="FILE", help="GODH in base64, as QEMU takes it")
    parser.add_argument("--session-file", metavar="FILE", help="the launch blob in base64")
    parser.add_argument("--policy", metavar="P", default="0x1", help="default 0x1, as QEMU's")
    add_boot_options(parser)
    parser.add_argument(
        "--vcpus", type=whole_number, metavar="N", default=1, help="number of vCPUs"
    )
    parser.add_argument("--cpu", metavar="MODEL", default="EPYC-Milan", help="QEMU CPU model")
    parser.add_argument("--vmsa", metavar="GENERATION", default="legacy", help="legacy or init2")
    parser.add_argument(
        "--state",
        metavar="DIR",
        help="keep the platform's keys there; its certificates (full_chain.cert,"
        " ark.cert, …) and the default firmware lie beside them",
    )
    parser.add_argument("--attack", metavar="NAME", help="lie in this way")


def _simulate(arguments: argparse.Namespace, console: Console) -> Result:
    attack = attack_named(arguments.attack) if arguments.attack else None
    order = _order(arguments)
    _keep_firmware(arguments, order.firmware)
    keys = open_platform(Path(arguments.state)) if arguments.state else PlatformKeys.generate()
    try:
        asyncio.run(_serve(arguments, console, SimulatedHost(keys, attack), order))
    except KeyboardInterrupt:
        raise _ended() from None
    return Result({"ended": "quit"}, ("The simulated VM has quit.",))


class _Ended(WatchwordError):
    """Ctrl-C, which is how a simulation ends that is not sent ``quit``."""

    exit_status = ExitStatus.INTERRUPTED


def _ended() -> WatchwordError:
    return _Ended(
        "interrupted",
        "Interrupted",
        "The simulated VM was ended.",
        "Nothing is left to be done. Start it again whenever you want.",
    )


def _order(arguments: argparse.Namespace) -> StartOrder:
    cpu = VcpuSetup(arguments.vcpus, parse_cpu(arguments.cpu), VmsaGeneration.parse(arguments.vmsa))
    return StartOrder(
        firmware=read_firmware(arguments),
        policy=parse_policy(arguments.policy).value,
        dh_cert=_optional(arguments.dh_cert_file, "--dh-cert-file"),
        session=_optional(arguments.session_file, "--session-file"),
        kernel=read_boot_file(arguments, "kernel"),
        initrd=read_boot_file(arguments, "initrd"),
        command_line=arguments.cmdline,
        vcpus=cpu.count,
        cpu_signature=cpu.cpu.value,
        save_area_kind=SaveAreaKind(cpu.generation.value),
    )


def _keep_firmware(arguments: argparse.Namespace, firmware: bytes) -> None:
    """Where the simulated default is used, write it down: the owner measures that very file."""
    if arguments.state is not None and arguments.firmware is None:
        make_folder(arguments.state, "--state")
        write_file(Path(arguments.state) / "firmware.fd", firmware, 0o644, field="--state")


def _optional(path: str | None, field: str) -> bytes | None:
    return None if path is None else read_file(path, field, _LARGEST_SESSION_FILE)


async def _serve(
    arguments: argparse.Namespace, console: Console, host: SimulatedHost, order: StartOrder
) -> None:
    async with host:
        server = await host.start_vm(order, socket_address(arguments.socket))
        console.progress("SIMULATED: a software platform under a root of its own.")
        console.progress(f"Listening on {server.url}")
        console.event({"listening": server.url, "simulated": True, "state": arguments.state})
        await server.wait_for_quit()
