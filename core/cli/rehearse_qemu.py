# SPDX-License-Identifier: Apache-2.0
"""``watchword rehearse --qemu``: the guest really boots, and its console tells the verdict."""

from __future__ import annotations

import argparse
import asyncio

from ..errors import ExitStatus
from ..rehearsal.qemu_console import ShowLine
from ..rehearsal.qemu_run import QemuOutcome, guest_behaviours, rehearse_with_qemu
from ..rehearsal.qemu_verdict import Sighting, Verdict
from ..rehearsal.qemu_words import ABSENT, REAL, SIMULATED, kernel_note, verdict_error
from ..simulator import GUEST_ATTACKS, attack_named
from .launch_output import LaunchPrinter, launch_result
from .output import Console, Result
from .qemu_options import guest_to_rehearse, load_setup

_BANNER = (
    "SIMULATED: the secure processor is software under a root of its own, and memory is not"
    " encrypted. Firmware, kernel and disk are yours, and really run. This shows whether the disk"
    " opens by itself; it proves nothing about any hardware."
)
_SAID = {
    Verdict.UNLOCKED: "VERDICT: unlocked. The disk opened by itself",
    Verdict.ASKED: "VERDICT: the guest asked for a passphrase",
    Verdict.STUCK: "VERDICT: stuck",
    Verdict.ENDED: "VERDICT: the guest ended",
    Verdict.HALTED: "VERDICT: the machine halted",
    Verdict.KERNEL_REFUSED: "VERDICT: the firmware refused the kernel",
}


def rehearse_qemu(arguments: argparse.Namespace, console: Console) -> Result:
    """Rehearse what the options name with a real guest."""
    attack = arguments.attack
    description = attack_named(attack, GUEST_ATTACKS).description if attack else None
    setup = load_setup(arguments)
    with guest_to_rehearse(arguments, console) as guest:
        console.progress(_BANNER)
        if description is not None:
            console.progress(f"The host attacks ({attack}): {description}")
        console.progress("")
        outcome = asyncio.run(
            rehearse_with_qemu(
                guest,
                setup,
                LaunchPrinter(console).observe,
                attack=attack,
                show=_shown_by(console) if arguments.console else None,
            )
        )
    return _result(attack, outcome)


def list_guest_attacks() -> Result:
    """The attacks that can be played on a real guest."""
    behaviours = [behaviour for behaviour in guest_behaviours() if behaviour.attack is not None]
    attacks = [{"name": one.attack, "description": one.description} for one in behaviours]
    lines = [f"{one.attack:22} {one.description}" for one in behaviours]
    return Result({"attacks": attacks}, tuple(lines))


def _shown_by(console: Console) -> ShowLine:
    """Shows the guest's lines escaped: it may say anything."""
    return lambda line: console.note(f"guest: {line}")


def _result(attack: str | None, outcome: QemuOutcome) -> Result:
    result = launch_result(
        outcome.launch,
        tuple(_lines(outcome)),
        verdict_error(outcome, attack),
        attack=attack,
        secret_in_guest=outcome.secret_in_guest,
        secret_seen_by_host=outcome.secret_seen,
        packets=outcome.packets,
        **_sighting_json(outcome.sighting),
        kernel_bytes_edited_by_qemu=outcome.edited_bytes,
        kernel_note=kernel_note(outcome),
        seconds=outcome.seconds,
        real=list(REAL),
        simulated_parts=list(SIMULATED),
        absent=list(ABSENT),
    )
    if outcome.secret_seen:
        return Result(result.payload, result.lines, ExitStatus.UNEXPECTED, result.error)
    return result


def _sighting_json(sighting: Sighting | None) -> dict[str, object]:
    if sighting is None:
        return {"verdict": "not-run", "marker": None, "also": [], "console": []}
    return {
        "verdict": sighting.verdict.value,
        "marker": sighting.marker,
        "also": [sign.value for sign in sighting.also],
        "console": list(sighting.lines),
        "secret_on_console": sighting.leaked,
    }


def _lines(outcome: QemuOutcome) -> list[str]:
    lines = [""]
    note = kernel_note(outcome)
    if note is not None:
        lines += [note, ""]
    sighting = outcome.sighting
    if sighting is None:
        lines.append("The guest was not let run, and its disk stays locked.")
    else:
        marker = "" if sighting.marker is None else f" (“{sighting.marker}”)"
        lines.append(f"{_SAID[sighting.verdict]}{marker}, after {sighting.seconds:.1f} s.")
        if sighting.verdict is not Verdict.UNLOCKED:
            lines += ["The console's last lines:", *(f"    {line}" for line in sighting.lines)]
    if outcome.secret_seen:
        lines.append("The host saw the secret in clear. THIS IS A FAULT OF WATCHWORD'S.")
    lines += ["", f"Real: {'; '.join(REAL)}.", f"Simulated: {'; '.join(SIMULATED)}."]
    return [*lines, f"Absent: {'; '.join(ABSENT)}."]
