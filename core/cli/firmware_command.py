# SPDX-License-Identifier: Apache-2.0
"""``watchword firmware``: what firmware images can do in a launch, and which ones QEMU knows."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..files import read_file
from ..sev.firmware import FIRMWARE_LIMIT
from ..sev.firmware_footer import Area
from ..sev.firmware_inspection import (
    ANY_LAUNCH,
    FirmwareInspection,
    inspect_firmware,
    is_reset_vector,
)
from .command import Parser, Subparsers, add_command, add_group
from .output import Console, Result, table

if TYPE_CHECKING:
    from ..handover.firmware_descriptors import JudgedDescriptor


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``firmware inspect`` and ``firmware list``."""
    group = add_group(subparsers, "firmware", "look into firmware images")
    inspect = add_command(
        group,
        "inspect",
        summary="say what firmware images can do in a launch, GO or NO-GO for each feature",
        example="watchword firmware inspect OVMF.amdsev.fd",
        run=_inspect,
    )
    inspect.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="firmware images; of several, JSON is a list under `images`",
    )
    listing = add_command(
        group,
        "list",
        summary="find the firmware that QEMU's descriptors name here, and judge it",
        example="watchword firmware list --json",
        run=_list,
    )
    listing.add_argument(
        "--descriptors",
        metavar="DIR",
        action="append",
        default=[],
        help="look for descriptors here instead; of several, files in later ones come first",
    )


def load_inspection(path: str, field: str) -> FirmwareInspection:
    """The inspection of the firmware image in a file."""
    return inspect_firmware(read_file(path, field, FIRMWARE_LIMIT), field)


# -- inspect -----------------------------------------------------------------------


def _inspect(arguments: argparse.Namespace, console: Console) -> Result:
    del console
    inspections = [(path, load_inspection(path, f"FILE {path}")) for path in arguments.files]
    images = [inspection_json(path, inspection) for path, inspection in inspections]
    lines: list[str] = []
    for path, inspection in inspections:
        lines += ["", *_describe(path, inspection)] if lines else _describe(path, inspection)
    # One file: its fields at the top, as scripts expect of a question about one thing.
    payload = images[0] if len(images) == 1 else {"images": images}
    return Result(payload, tuple(lines))


def inspection_json(path: str, inspection: FirmwareInspection) -> dict[str, object]:
    """An inspection as it appears in JSON output."""
    image, footer = inspection.image, inspection.image.footer
    return {
        "file": path,
        "verdict": _verdict(inspection.go),
        "reasons": list(inspection.reasons),
        "size": image.size,
        "sha256": image.sha256.hex(),
        "layout": inspection.layout.value.value,
        "has_table": footer is not None,
        "entries": _entries(inspection),
        "reset_address": image.reset_address,
        "secret_area": _area_json(image.secret_area),
        "hash_area": _area_json(image.hash_area),
        "reset_vector": {
            "bytes": inspection.reset_vector.hex(),
            "plausible": is_reset_vector(inspection.reset_vector),
        },
        "metadata": _metadata_json(inspection),
        "tdx": footer is not None and footer.has_tdx_metadata,
        "igvm": footer is not None and footer.has_igvm_metadata,
        "svsm": footer is not None and footer.has_svsm_info,
        "contents": _contents_json(inspection),
        "hash_mismatch": inspection.hash_mismatch.value.value,
        "grub": inspection.grub.value.value,
        "capabilities": [capability.as_json() for capability in inspection.capabilities],
        "findings": [finding.as_json() for finding in inspection.findings],
    }


def _verdict(go: bool) -> str:
    return "GO" if go else "NO-GO"


def _area_json(area: Area | None) -> dict[str, int] | None:
    return None if area is None else {"base": area.base, "size": area.size}


def _entries(inspection: FirmwareInspection) -> list[dict[str, object]]:
    """The table's entries in its order; data as hex, because there are formats nobody knows yet."""
    footer = inspection.image.footer
    return [
        {"guid": str(entry.guid), "name": entry.name, "data": entry.data.hex()}
        for entry in (footer.entries if footer is not None else ())
    ]


def _metadata_json(inspection: FirmwareInspection) -> dict[str, object] | None:
    image = inspection.image
    if image.metadata is None and image.metadata_problem is None:
        return None
    sections = image.metadata.sections if image.metadata is not None else ()
    return {
        "sections": [
            {"type": section.type_name, "base": section.area.base, "size": section.area.size}
            for section in sections
        ],
        "problem": image.metadata_problem,
    }


def _contents_json(inspection: FirmwareInspection) -> dict[str, object]:
    """What the image holds, as far as can be seen."""
    contents = inspection.contents
    return {
        "volumes": [
            {"offset": v.offset, "size": v.size, "file_system": str(v.file_system)}
            for v in contents.volumes
        ],
        "modules": len(contents.modules),
        "problems": list(contents.problems),
    }


def _describe(path: str, inspection: FirmwareInspection) -> list[str]:
    image = inspection.image
    lines = [f"{path}: {image.size} bytes, SHA-256 {image.sha256.hex()}"]
    lines += [f"  {entry['guid']}  {entry['name']}" for entry in _entries(inspection)]
    lines += table(_facts(inspection))
    lines += [f"{_verdict(c.go):7} {c.name}: {c.reason}" for c in inspection.capabilities]
    # What speaks against one use alone is said above already, as the reason of that use.
    lines += [f"{f.weight.value:7} {f.text}" for f in inspection.findings if f.use == ANY_LAUNCH]
    if inspection.go:
        lines.append("GO: a secret can be handed to a VM with this firmware.")
    else:
        lines.append("NO-GO: no secret should be handed to a VM with this firmware.")
    lines.append("What its code does is told as far as can be seen; its hash is what is measured.")
    return lines


def _facts(inspection: FirmwareInspection) -> list[tuple[str, str]]:
    image = inspection.image
    facts = [
        (name, f"{area.base:#x}, {area.size} bytes")
        for name, area in (("secret area", image.secret_area), ("hash area", image.hash_area))
        if area is not None
    ]
    if image.reset_address is not None:
        facts.append(("other vCPUs", f"{image.reset_address:#x}"))
    facts.append(("reset vector", inspection.reset_vector.hex()))
    for section in image.metadata.sections if image.metadata is not None else ():
        where = f"{section.area.base:#x}, {section.area.size} bytes"
        facts.append((f"metadata {section.type_name}", where))
    facts.append(("layout", inspection.layout.value.value))
    facts.append(("code", f"{len(inspection.contents.modules)} modules to be seen"))
    return facts


# -- list --------------------------------------------------------------------------


def _list(arguments: argparse.Namespace, console: Console) -> Result:
    del console
    from ..handover import firmware_descriptors as descriptors  # noqa: PLC0415 - only here

    folders = arguments.descriptors or descriptors.standard_folders()
    judged = descriptors.judge_installed(folders, load_inspection)
    payload: dict[str, object] = {
        "folders": [str(folder) for folder in folders],
        "firmware": [_descriptor_json(item) for item in judged],
    }
    return Result(payload, _describe_list(folders, judged))


def _descriptor_json(item: JudgedDescriptor) -> dict[str, object]:
    descriptor, inspection = item.descriptor, item.inspection
    return {
        "descriptor": str(item.path),
        "hides": [str(path) for path in item.hides],
        "verdict": item.verdict.value,
        "problems": list(item.problems),
        "description": None if descriptor is None else descriptor.description,
        "file": None if descriptor is None else descriptor.filename,
        "device": None if descriptor is None else descriptor.device,
        "stateless": None if descriptor is None else descriptor.stateless,
        "features": [] if descriptor is None else list(descriptor.features),
        "sha256": None if inspection is None else inspection.image.sha256.hex(),
        "capabilities": []
        if inspection is None
        else [capability.as_json() for capability in inspection.capabilities],
    }


def _describe_list(
    folders: Sequence[object], judged: Sequence[JudgedDescriptor]
) -> tuple[str, ...]:
    if not judged:
        where = ", ".join(str(folder) for folder in folders)
        return (f"No firmware descriptors in {where}.", "QEMU's and OVMF's packages bring them.")
    lines: list[str] = []
    for item in judged:
        name = item.descriptor.filename if item.descriptor is not None else "no image"
        lines.append(f"{item.verdict.value:7} {item.path}: {name}")
        if item.inspection is not None:
            lines.append(f"          SHA-256 {item.inspection.image.sha256.hex()}")
        if item.descriptor is not None and item.descriptor.claims:
            lines.append(f"          claims {', '.join(item.descriptor.claims)}")
        lines += [f"          {problem}" for problem in item.problems]
        lines += [f"          takes the place of {path}" for path in item.hides]
    return tuple(lines)
