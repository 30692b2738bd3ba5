# SPDX-License-Identifier: Apache-2.0
"""The types of a profile's fields: how each is read and written, and its JSON schema."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from ..sev.policy import Policy
from ..sev.secret_table import Route, parse_secret_name
from ..sev.vmsa import VmsaGeneration
from . import fields
from .problems import FieldProblem

_Schema = dict[str, Any]
_Annotations = tuple[PlainValidator, PlainSerializer, WithJsonSchema]


def _same(value: object) -> object:
    return value


def read_by(
    read: Callable[[Any], object], schema: _Schema, write: Callable[[Any], object] = _same
) -> _Annotations:
    """A field whose value ``read`` takes from TOML; ``schema`` says what that may be."""
    return PlainValidator(read), PlainSerializer(write), WithJsonSchema(schema)


class OneOrMore:
    """A set that may be written without a list where it has one member."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_as_list, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> _Schema:
        several = handler(schema)
        return {"anyOf": [several["items"], several]}


class TextFor:
    """A table that may be written as text, which stands for the value of one of its keys.

    ``path_key`` is the key for a text that begins like a path, where that is another one.
    """

    def __init__(self, key: str, path_key: str | None = None) -> None:
        self._key = key
        self._path_key = path_key or key

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._as_table, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> _Schema:
        return {"anyOf": [{"type": "string"}, handler(schema)]}

    def _as_table(self, value: object) -> object:
        if not isinstance(value, str):
            return value
        return {self._path_key if value.startswith("/") else self._key: value}


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _distinct_guids(secrets: dict[str, str]) -> dict[str, str]:
    guids = [parse_secret_name(name) for name in secrets]
    if len(set(guids)) < len(guids):
        raise FieldProblem("Two of them have one GUID; the guest would see only one of them.")
    return secrets


def _text(limit: int) -> _Annotations:
    schema = {"type": "string", "maxLength": limit}
    return read_by(lambda value: fields.read_text(value, limit), schema)


def _number(most: int) -> _Annotations:
    schema = {"type": "integer", "minimum": 0, "maximum": most}
    return read_by(lambda value: fields.read_whole(value, most), schema)


_SHA256: _Schema = {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}
_CHIP_ID: _Schema = {"type": "string", "pattern": "^[0-9a-fA-F]{128}$"}
_API: _Schema = {"type": "string", "pattern": "^[0-9]{1,3}\\.[0-9]{1,3}$"}
_NAME: _Schema = {"type": "string", "pattern": f"^{fields.NAME.pattern}$"}
_TEXT_OR_NUMBER: _Schema = {"type": ["string", "integer"]}
_VCPUS: _Schema = {
    "anyOf": [_TEXT_OR_NUMBER, {"type": "array", "items": _TEXT_OR_NUMBER, "minItems": 1}]
}
_CMDLINE: _Schema = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"sha256": _SHA256},
            "required": ["sha256"],
            "additionalProperties": False,
        },
    ]
}

LongText = Annotated[str, *_text(1000)]
ShortText = Annotated[str, *_text(200)]
Sha256 = Annotated[str, *read_by(fields.read_sha256, _SHA256)]
ChipId = Annotated[str, *read_by(fields.read_chip_id, _CHIP_ID)]
FilePath = Annotated[
    str, *read_by(fields.read_path, {"type": "string", "pattern": "^/", "maxLength": 4096})
]
FileSize = Annotated[int, *_number(1 << 31)]
Moment = Annotated[datetime, *read_by(fields.read_time, {"type": "string", "format": "date-time"})]
Format = Annotated[int, *read_by(fields.read_format, {"const": 1})]
ProfileName = Annotated[str, *read_by(fields.read_name, _NAME)]
Technology = Annotated[str, *read_by(fields.read_technology, {"enum": ["sev", "sev-es"]})]
PolicyValue = Annotated[Policy, *read_by(fields.read_policy, _TEXT_OR_NUMBER, Policy.names)]
ApiVersion = Annotated[tuple[int, int], *read_by(fields.read_api, _API, fields.write_api)]
Build = Annotated[int, *_number(255)]
VcpuCounts = Annotated[tuple[int, ...], *read_by(fields.read_vcpus, _VCPUS, fields.write_vcpus)]
Cpu = Annotated[
    fields.GuestCpu, *read_by(fields.read_cpu, {"type": "string"}, lambda cpu: cpu.name)
]
Cmdline = Annotated[
    fields.CommandLine, *read_by(fields.read_cmdline, _CMDLINE, fields.write_cmdline)
]
Generation = Annotated[
    VmsaGeneration | None,
    *read_by(
        fields.read_generation, {"enum": ["auto", "legacy", "init2"]}, fields.write_generation
    ),
]
SevFeatures = Annotated[
    int, *read_by(fields.read_sev_features, _TEXT_OR_NUMBER, lambda value: f"{value:#x}")
]
GuestRoute = Annotated[
    Route, *read_by(fields.read_route, {"enum": ["grub", "kernel"]}, lambda route: route.value)
]
HostUrl = Annotated[str, *read_by(fields.read_host, {"type": "string"})]
Secrets = Annotated[
    dict[
        Annotated[str, AfterValidator(fields.read_secret_key)],
        Annotated[str, *read_by(fields.read_entry, {"type": "string"})],
    ],
    AfterValidator(_distinct_guids),
]
