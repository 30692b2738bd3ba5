# SPDX-License-Identifier: Apache-2.0
"""``watchword session``: make a launch blob for a verified platform."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ..amd.advisories import published_advisories
from ..amd.roots import amd_roots
from ..errors import ExitStatus
from ..secret import Secret
from ..sev.platform import Platform, chain_refused, judge_chain
from ..sev.policy import ApprovedPolicy, approve_policy
from ..sev.session import LaunchMaterial, LaunchSession, SessionRandomness, create_session
from .command import Parser, Subparsers, add_command, add_group
from .exported_keys import exported_for, record_exported_keys
from .key_options import add_policy_option, load_policy
from .new_files import NewFile, refuse_existing, write_new_files
from .output import Console, Result, table
from .peer_output import add_form_option, check_file_name, in_form, wipe_outputs, write_in_form
from .platform_options import (
    add_cek_options,
    add_trust_options,
    load_cek_pins,
    load_oca_pin,
    load_trusted_roots,
    recognise_platform,
)

_OTHER_NAME = "Choose another --name, or remove the old files."
_OWN = ("tek", "tik", "tek-tik", "keys_note")


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``session create``."""
    group = add_group(subparsers, "session", "make what a host needs to start the VM")
    create = add_command(
        group,
        "create",
        summary="verify a platform, then make a one-time key and a launch blob for it",
        example="watchword session create chain.cert --policy default --out . --name vm1"
        " --export-keys keys",
        run=_create,
    )
    create.add_argument("files", nargs="+", metavar="FILE", help="the platform's certificates")
    add_policy_option(create, waivable=True)
    create.add_argument("--out", metavar="DIR", required=True, help="for what the host is given")
    create.add_argument("--name", metavar="N", required=True, help="how the files' names begin")
    create.add_argument(
        "--export-keys", metavar="DIR", required=True, help="for TEK and TIK; keep them to yourself"
    )
    how = create.add_mutually_exclusive_group()
    how.add_argument("--raw", action="store_true", help="write binary forms too")
    add_form_option(how, "GODH, launch blob and keys")
    create.add_argument(
        "--waive-platform", metavar="REASON", help="go on without a verified chain, for this reason"
    )
    add_trust_options(create)
    add_cek_options(create)


def _create(arguments: argparse.Namespace, console: Console) -> Result:
    check_file_name(arguments.name)
    policy = approve_policy(load_policy(arguments), arguments.waive_policy)
    recognised = recognise_platform(arguments, console)
    platform = judge_chain(
        recognised.certificates,
        amd_roots(),
        published_advisories(),
        trusted_roots=load_trusted_roots(arguments),
        oca_pin=load_oca_pin(arguments),
        cek_pins=load_cek_pins(arguments),
        waiver=arguments.waive_platform,
    )
    session, material = create_session(platform, policy, SessionRandomness.draw(os.urandom))
    try:
        files = _write_all(arguments, platform, session, material)
    finally:
        session.abandon()
    warnings = [*recognised.warnings, *platform.report.warnings]
    if platform.waiver is not None:
        warnings.insert(
            0, f"The platform is not verified. {chain_refused(platform.report).message}"
        )
    warnings += [finding.text for finding in policy.policy.findings()]
    if Path(arguments.out).resolve() == Path(arguments.export_keys).resolve():
        warnings.append("TEK and TIK lie among the host's files: don't hand them out with those.")
    for warning in warnings:
        console.note(f"warning: {warning}")
    return _result(platform, policy, files, warnings)


def _write_all(
    arguments: argparse.Namespace,
    platform: Platform,
    session: LaunchSession,
    material: LaunchMaterial,
) -> dict[str, str]:
    """Write the files, keys first: a blob whose keys are lost is worth nothing.

    Keys of an earlier launch are never overwritten: its VM may still wait for its secret.
    That keys leave the program is in the ledger before they do.
    """
    out, keys, name = Path(arguments.out), Path(arguments.export_keys), arguments.name
    if arguments.form is not None:
        return _write_in_form(arguments, platform, session, material)
    names = (f"{name}_tek.bin", f"{name}_tik.bin")
    with session.tek.reveal() as tek, session.tik.reveal() as tik:
        files = {
            "keys_note": NewFile(keys / f"README_{name}.txt", _note(*names), "--export-keys"),
            "tek": NewFile(keys / f"{name}_tek.bin", tek, "--export-keys"),
            "tik": NewFile(keys / f"{name}_tik.bin", tik, "--export-keys"),
            "godh": NewFile(out / f"{name}_godh.b64", material.godh_base64.encode(), "--out"),
            "session": NewFile(
                out / f"{name}_session.b64", material.session_base64.encode(), "--out"
            ),
        }
        if arguments.raw:
            godh, blob = material.godh.build(), material.blob.build()
            files["godh_raw"] = NewFile(out / f"{name}_godh.cert", godh, "--out")
            files["session_raw"] = NewFile(out / f"{name}_session.bin", blob, "--out")
        paths = {kind: file.path for kind, file in files.items()}
        refuse_existing(paths.values(), "--name", _OTHER_NAME)
        record_exported_keys(exported_for(platform, session, material, keys, names))
        write_new_files(tuple(files.values()))
    return {kind: str(path) for kind, path in paths.items()}


def _write_in_form(
    arguments: argparse.Namespace,
    platform: Platform,
    session: LaunchSession,
    material: LaunchMaterial,
) -> dict[str, str]:
    """The same under the names of another program; its keys lie in the folder for keys."""
    from ..sev.chain import PlatformCertificates  # noqa: PLC0415 - for --form alone
    from ..sev.peer_files import LaunchFiles  # noqa: PLC0415 - as above

    out, keys, name = Path(arguments.out), Path(arguments.export_keys), arguments.name
    nothing = PlatformCertificates()
    godh, blob = material.godh.build(), material.blob.build()
    both = LaunchFiles(nothing, godh, blob, session.tek, session.tik)
    outputs = in_form(arguments.form, both, name)
    try:
        names = [output.name for output in outputs if isinstance(output.data, Secret)]
        if not names:  # forms of hosts have no place for keys
            only_keys = LaunchFiles(nothing, tek=session.tek, tik=session.tik)
            outputs += in_form("sevctl", only_keys, name)
            names = [output.name for output in outputs if isinstance(output.data, Secret)]
        note = keys / f"README_{name}.txt"
        places = {True: (keys, "--export-keys"), False: (out, "--out")}
        taken = [places[isinstance(one.data, Secret)][0] / one.name for one in outputs]
        refuse_existing([note, *taken], "--name", _OTHER_NAME)
        record_exported_keys(exported_for(platform, session, material, keys, names))
        beside = [NewFile(note, _note(*names), "--export-keys")]
        return {"keys_note": str(note), **write_in_form(outputs, places, beside)}
    finally:
        wipe_outputs(outputs)


def _note(*names: str) -> bytes:
    """What lies beside the keys, for whoever finds them."""
    holds = "are" if len(names) > 1 else "holds"
    return (
        f"{' and '.join(names)} {holds} the transport keys (TEK and TIK) of one launch.\n"
        "Whoever has this and the packet can take the secret out of it, or authenticate the\n"
        "packet anew for another VM, even after the launch. Give them to nobody, and erase\n"
        "them once the secret is handed over.\n"
    ).encode("utf-8", "surrogateescape")


def _result(
    platform: Platform, policy: ApprovedPolicy, files: dict[str, str], warnings: list[str]
) -> Result:
    waivers = {"platform": platform.waiver, "policy": policy.waiver}
    used = {what: reason for what, reason in waivers.items() if reason is not None}
    payload: dict[str, object] = {
        "platform": platform.name,
        "root": platform.report.root.value,
        "generation": platform.report.generation,
        "pdh_sha256": platform.report.pdh_sha256,
        "policy": policy.policy.value,
        "policy_names": policy.policy.names(),
        "files": {kind: path for kind, path in files.items() if kind != "keys_note"},
        "keys_note": files["keys_note"],
        "waivers": used,
        "warnings": warnings,
    }
    lines = [
        f"Platform: {platform.name}; policy {policy.policy}.",
        "For the host:",
        *table((kind, files[kind]) for kind in files if kind not in _OWN),
        "To keep to yourself; whoever has them and the packet can take the secret:",
        *table((kind, files[kind]) for kind in _OWN if kind in files),
    ]
    lines += [f"WAIVED {what}: {reason}" for what, reason in used.items()]
    return Result(payload, tuple(lines), ExitStatus.WAIVED if used else ExitStatus.OK)
