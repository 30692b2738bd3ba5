# SPDX-License-Identifier: Apache-2.0
"""QEMU's firmware descriptors: what a package says its firmware is, and whether that is so.

Source: QEMU docs/interop/firmware.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ..bounded_json import parse_json
from ..errors import BadInput
from .firmware_inspection import FirmwareInspection

DESCRIPTOR_LIMIT: Final = 64 << 10
"""Bytes of a descriptor; real ones have under 2 KiB."""
CLAIMS: Final = ("amd-sev", "amd-sev-es", "amd-sev-snp")
"""The features that this program judges."""
_DEVICES: Final = ("flash", "kernel", "memory")
_ARCHITECTURES: Final = frozenset({"x86_64", "i386"})
_LONGEST_TEXT: Final = 4096
_LONGEST_LIST: Final = 256


@dataclass(frozen=True, slots=True)
class FirmwareDescriptor:
    """One descriptor: how QEMU is to map a firmware image, and what that is said to support.

    ``device``    ``flash``, ``memory`` (``-bios``) or ``kernel``
    ``mode``      of flash: ``split`` (variables in another file), ``combined``, ``stateless``
    ``format``    of the image in flash, such as ``raw`` or ``qcow2``
    """

    description: str
    device: str
    filename: str
    mode: str
    format: str
    architectures: tuple[str, ...]
    features: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, field: str = "descriptor") -> FirmwareDescriptor:
        """Read a descriptor of at most 64 KiB; BadInput ``bad-descriptor`` or of parse_json."""
        if len(text) > DESCRIPTOR_LIMIT:
            raise _bad(field, f"It has {len(text)} characters.")
        reader = _Reader(field)
        whole = reader.mapping(parse_json(text, field), "it")
        mapping = reader.mapping(whole.get("mapping"), "mapping")
        device = reader.text(mapping, "device")
        if device not in _DEVICES:
            raise _bad(field, f"Its mapping.device is none of {', '.join(_DEVICES)}.")
        place = mapping
        if device == "flash":
            place = reader.mapping(mapping.get("executable"), "mapping.executable")
        return cls(
            description=reader.text(whole, "description", default=""),
            device=device,
            filename=reader.text(place, "filename"),
            mode=reader.text(mapping, "mode", default="split") if device == "flash" else "",
            format=reader.text(place, "format", default="raw"),
            architectures=tuple(reader.architectures(whole)),
            features=reader.texts(whole.get("features"), "features"),
        )

    @property
    def claims(self) -> tuple[str, ...]:
        """What it claims of SEV, SEV-ES and SEV-SNP."""
        return tuple(claim for claim in CLAIMS if claim in self.features)

    @property
    def stateless(self) -> bool:
        """Whether no variables are kept in another flash chip, where nobody measures them."""
        return self.device == "memory" or self.mode == "stateless" or "stateless" in self.features

    @property
    def for_x86(self) -> bool:
        """Whether it is for machines that can have SEV."""
        return bool(_ARCHITECTURES & set(self.architectures))


class _Reader:
    """Takes values of the right type out of JSON objects, or says which one is wrong."""

    def __init__(self, field: str) -> None:
        self._field = field

    def mapping(self, value: object, name: str) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise _bad(self._field, f"In it, {name} is no JSON object.")
        return value

    def text(self, mapping: Mapping[str, object], key: str, default: str | None = None) -> str:
        value = mapping.get(key, default)
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
            raise _bad(self._field, f"Its {key} is missing, or no text.")
        return value

    def texts(self, value: object, name: str) -> tuple[str, ...]:
        entries = self.entries(value, name)
        if not all(isinstance(entry, str) and len(entry) <= _LONGEST_TEXT for entry in entries):
            raise _bad(self._field, f"Its {name} are not all texts.")
        return tuple(str(entry) for entry in entries)

    def entries(self, value: object, name: str) -> list[object]:
        if not isinstance(value, list) or len(value) > _LONGEST_LIST:
            raise _bad(self._field, f"Its {name} are no list, or too long a one.")
        return value

    def architectures(self, whole: Mapping[str, object]) -> Iterator[str]:
        for target in self.entries(whole.get("targets"), "targets"):
            yield self.text(self.mapping(target, "a target"), "architecture")


def contradictions(
    descriptor: FirmwareDescriptor, inspection: FirmwareInspection
) -> tuple[str, ...]:
    """Where an image does not hold what its descriptor promises, as sentences."""
    secret, _, sev_es, snp = inspection.capabilities
    found = []
    for claim, capability in zip(CLAIMS, (secret, sev_es, snp), strict=True):
        if claim in descriptor.features and not capability.go:
            found.append(f"Claims {claim}, but is NO-GO for {capability.name}: {capability.reason}")
    if "amd-sev" not in descriptor.features and secret.go:
        found.append("Does not claim amd-sev, though its image can be given a secret.")
    if descriptor.claims and not descriptor.stateless:
        found.append(
            "Keeps its variables where nobody measures them: start the VM stateless, without NVRAM."
        )
    return tuple(found)


def _bad(field: str, problem: str) -> BadInput:
    return BadInput(
        "bad-descriptor",
        field,
        problem,
        "QEMU's docs/interop/firmware.json says how a firmware descriptor is to be written.",
    )
