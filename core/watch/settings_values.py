# SPDX-License-Identifier: Apache-2.0
"""The types of the fields of a watch's settings: how each is read from TOML, and its schema."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from ..errors import UsageError
from ..guest import fields
from ..guest.problems import FieldProblem
from ..guest.value_types import read_by
from ..hosts.urls import parse_host_url

MOST_AT_ONCE: Final = 1000
"""Launches that may be worked on at once, and askers of one source."""
MOST_WAITING: Final = 10_000
LONGEST_EXPIRY: Final = 30 * 24 * 3600
_LONGEST_TEXT: Final = 4096
_STAR: Final = "any-name"
_ADDRESS: Final = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([0-9]{1,5})")
_GROUP: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}|[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class TcpPlace:
    """An address of loopback, and a port from 1 to 65535."""

    host: str
    port: int


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise FieldProblem("It takes true or false.")


def _text(value: object) -> str:
    text = fields.read_text(value, _LONGEST_TEXT)
    if not text or "\0" in text:
        raise FieldProblem("It takes the path of a file or folder, from this file's folder on.")
    return text


def _pattern(value: object) -> str:
    """A host's URL in its one form, with * for names in what follows its address."""
    text = fields.read_text(value, 2100)
    if _STAR in text:
        raise FieldProblem(f"It can't have “{_STAR}” in it, which is what * is read as.")
    filled = fields.read_host(text.replace("*", _STAR))
    if filled.partition(":")[0].lower() == "exchange":
        raise FieldProblem("A folder that is carried by hand tells nobody that a VM waits in it.")
    address = text.partition("://")[2].partition("/")[0].partition("?")[0]
    if "*" in address or "*" in text.partition(":")[0]:
        raise FieldProblem("A * may stand in its path and options alone: hosts are named.")
    try:
        canonical = parse_host_url(filled).url
    except UsageError as error:
        raise FieldProblem.of(error) from None
    return canonical.replace(_STAR, "*")


def _libvirt(value: object) -> str:
    """A libvirt's URL without a domain; the pattern of its domains' URLs is ``domains_of``."""
    text = fields.read_host(value)
    if not text.lower().startswith("libvirt+"):
        raise FieldProblem("It takes a libvirt URL such as libvirt+qemu:///system.")
    if re.search(r"[?&]domain=", text):
        raise FieldProblem("All its domains are watched: leave out domain=.")
    domains_of(text)
    return text


def domains_of(url: str) -> str:
    """The pattern of the URLs of a libvirt's domains. Raises FieldProblem."""
    return _pattern(f"{url}{'&' if '?' in url else '?'}domain=*")


def _metrics(value: object) -> str | TcpPlace:
    text = fields.read_text(value, _LONGEST_TEXT)
    if text.startswith("unix:"):
        return _text(text.removeprefix("unix:"))
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise FieldProblem("It takes unix:PATH for a socket file, or such as 127.0.0.1:9469.")
    try:
        address = ipaddress.ip_address(found[1] or found[2])
    except ValueError:
        raise FieldProblem("That is no IP address.") from None
    if not address.is_loopback:
        raise FieldProblem(
            "Only this machine may ask for them: 127.0.0.1:PORT, [::1]:PORT, or unix:PATH."
        )
    port = int(found[3])
    if not 1 <= port <= 65535:
        raise FieldProblem("Ports go from 1 to 65535.")
    return TcpPlace(str(address), port)


def _group(value: object) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and _GROUP.fullmatch(text):
        return text
    raise FieldProblem("It takes the name or number of a group.")


def _number(least: int, most: int) -> Any:
    def read(value: object) -> int:
        number = fields.read_whole(value, most)
        if number < least:
            raise FieldProblem(f"It takes a whole number from {least} to {most}.")
        return number

    return read_by(read, {"type": "integer", "minimum": least, "maximum": most})


_PATH: Final = {"type": "string", "minLength": 1, "maxLength": _LONGEST_TEXT}
_TEXT: Final = {"type": "string"}

Path = Annotated[str, *read_by(_text, _PATH)]
Flag = Annotated[bool, *read_by(_flag, {"type": "boolean"})]
HostPattern = Annotated[str, *read_by(_pattern, _TEXT)]
LibvirtUrl = Annotated[str, *read_by(_libvirt, _TEXT)]
Metrics = Annotated[str | TcpPlace, *read_by(_metrics, _TEXT)]
Group = Annotated[str, *read_by(_group, {"type": ["string", "integer"]})]
AtOnce = Annotated[int, *_number(1, MOST_AT_ONCE)]
Waiting = Annotated[int, *_number(1, MOST_WAITING)]
Expiry = Annotated[int, *_number(60, LONGEST_EXPIRY)]
