# SPDX-License-Identifier: Apache-2.0
"""How each value of a profile is read from TOML, and written back.

Readers take any TOML value and give the value, or raise FieldProblem with a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final, TypeVar

from ..errors import WatchwordError
from ..sev.cpu_models import QEMU_MODELS, CpuSignature, parse_cpu
from ..sev.digest import VCPUS_MAX
from ..sev.firmware_version import parse_api
from ..sev.kernel_hashes import hash_cmdline
from ..sev.policy import OLDEST_SAFE_API, Policy, parse_policy
from ..sev.secret_table import Route, parse_secret_name
from ..sev.vmsa import SEV_FEATURES_MAX, VmsaGeneration
from .problems import FieldProblem

NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?", re.ASCII)
"""Names of profiles, which are names of files: 1 to 64 letters, digits, dots, hyphens, _."""
ENTRY_NAME: Final = re.compile(
    r"(?=.{1,128}\Z)[A-Za-z0-9][A-Za-z0-9._@+-]*(?:/[A-Za-z0-9][A-Za-z0-9._@+-]*)*", re.ASCII
)
"""Names that the vault's entries may have."""
AUTO: Final = "auto"

_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CHIP_ID: Final = re.compile(r"[0-9a-f]{128}", re.ASCII)
_RANGE: Final = re.compile(r"([0-9]{1,5})(?:\s*-\s*([0-9]{1,5}))?", re.ASCII)
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,40}:[!-~]{1,2000}", re.ASCII)
_URL_PASSWORD: Final = re.compile(r"://[^/@]*:[^/@]*@")
_KIND: Final = re.compile(r"[a-z]+|[A-Z]+|[0-9]+", re.ASCII)
_SEPARATORS: Final = str.maketrans("", "", "+/_-")
_LONGEST_PATH: Final = 4096
_MOST_RANGES: Final = 256

_T = TypeVar("_T")
Reader = Callable[[Any], _T]


@dataclass(frozen=True, slots=True)
class GuestCpu:
    """A CPU by the name that QEMU takes (or 25/1/1, 0xa00f11), and its signature."""

    name: str
    signature: CpuSignature


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A kernel command line: its text, or its SHA-256 (32 bytes, NUL included) alone."""

    text: str | None
    sha256: bytes

    @classmethod
    def of(cls, text: str) -> CommandLine:
        """The command line of this text; raises BadInput ``cmdline-unusable``."""
        return cls(text, hash_cmdline(text, "the command line"))


def _in_words(read: Reader[_T]) -> Reader[_T]:
    """The reader, with errors of other parts of the core as problems of this value."""

    @wraps(read)
    def reader(value: Any) -> _T:
        try:
            return read(value)
        except WatchwordError as error:
            raise FieldProblem.of(error) from None

    return reader


def read_text(value: object, limit: int = 1000) -> str:
    """Text of at most ``limit`` characters."""
    if not isinstance(value, str):
        raise FieldProblem("It takes text, in quotes.")
    if len(value) > limit:
        raise FieldProblem(f"It has {len(value)} characters; {limit} are the most.")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise FieldProblem("It has bytes that are not UTF-8, and a profile is UTF-8 text.")
    return value


def read_whole(value: object, most: int, *, base: int = 10) -> int:
    """A whole number from 0 to ``most``, as a number or as text (hex where it begins with 0x)."""
    number: object = value
    if isinstance(value, str) and re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,19}", value):
        number = int(value, 16 if value[:2] in ("0x", "0X") else 10)
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= most:
        return number
    shown = f"{most:#x}" if base == 16 else str(most)
    raise FieldProblem(f"It takes a whole number from 0 to {shown}.")


def read_format(value: object) -> int:
    """The format number of the file; there is only 1."""
    if is_newer_format(value):
        raise FieldProblem(
            "A newer version of Watchword made this file; this one knows format 1 alone."
        )
    if value != 1 or value is True:
        raise FieldProblem("It takes 1, the number of the format.")
    return 1


def is_newer_format(value: object) -> bool:
    """Whether this is the number of a format that a later version has brought."""
    return isinstance(value, int) and value > 1


def read_name(value: object) -> str:
    """A profile's name."""
    if NAME.fullmatch(read_text(value)):
        return str(value)
    raise FieldProblem(
        "It takes 1 to 64 letters (a to z), digits, dots, hyphens and underscores, with no dot"
        " or hyphen before them and no dot after."
    )


def read_technology(value: object) -> str:
    """``sev`` or ``sev-es``."""
    if value in ("sev", "sev-es"):
        return str(value)
    raise FieldProblem("It takes “sev” or “sev-es”, whichever the policy says.")


@_in_words
def read_policy(value: object) -> Policy:
    """A policy from a number, hex or names."""
    if isinstance(value, str):
        return parse_policy(value)
    return Policy(read_whole(value, 0xFFFFFFFF, base=16))


@_in_words
def read_api(value: object) -> tuple[int, int]:
    """API major and minor, 0.17 at least."""
    if isinstance(value, float):
        raise FieldProblem('It goes in quotes, such as "1.49": 1.5 and 1.50 are two versions.')
    api = parse_api(read_text(value))
    if api < OLDEST_SAFE_API:
        raise FieldProblem("0.17 is the least: older firmware's packets fit other VMs too.")
    return api


def write_api(api: tuple[int, int]) -> str:
    """Such as ``1.49``."""
    return f"{api[0]}.{api[1]}"


def read_vcpus(value: object) -> tuple[int, ...]:
    """Numbers of vCPUs in ascending order, from 4, "1-8", "1-4,8" or a list of these."""
    parts: list[object] = []
    for item in value if isinstance(value, list) else [value]:
        parts += item.split(",") if isinstance(item, str) else [item]
    # Each may be a range of thousands.
    if not 1 <= len(parts) <= _MOST_RANGES:
        raise FieldProblem(f"It takes 1 to {_MOST_RANGES} numbers and ranges.")
    counts: set[int] = set()
    for part in parts:
        counts.update(_vcpu_range(part))
    return tuple(sorted(counts))


def _vcpu_range(part: object) -> range:
    text = str(part) if isinstance(part, int) and not isinstance(part, bool) else part
    match = _RANGE.fullmatch(text.strip()) if isinstance(text, str) and len(text) < 40 else None
    if match is None:
        raise FieldProblem('It takes a number (4), a range ("1-8") or a list of them ([2, 4]).')
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last <= VCPUS_MAX:
        raise FieldProblem(f"A guest has 1 to {VCPUS_MAX} vCPUs, and a range goes upwards.")
    return range(first, last + 1)


def write_vcpus(counts: Iterable[int]) -> int | str:
    """A single number, or text such as ``1-4,8``."""
    runs: list[list[int]] = []
    for count in counts:
        if runs and runs[-1][1] == count - 1:
            runs[-1][1] = count
        else:
            runs.append([count, count])
    if len(runs) == 1 and runs[0][0] == runs[0][1]:
        return runs[0][0]
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


@_in_words
def read_cpu(value: object) -> GuestCpu:
    """A CPU by QEMU's name, FAMILY/MODEL/STEPPING or signature."""
    text = read_text(value, 64).strip()
    signature = parse_cpu(text, "cpu")
    name = next((name for name in QEMU_MODELS if name.lower() == text.lower()), text)
    return GuestCpu(name, signature)


@_in_words
def read_cmdline(value: object) -> CommandLine:
    """A command line from its text, or from a table with its ``sha256``."""
    if isinstance(value, Mapping) and set(value) == {"sha256"}:
        return CommandLine(None, bytes.fromhex(read_sha256(value["sha256"])))
    if not isinstance(value, str):
        raise FieldProblem(
            'It takes the text as QEMU\'s -append gets it, or { sha256 = "…" } with the hash of'
            " text and NUL."
        )
    return CommandLine.of(value)


def write_cmdline(line: CommandLine) -> str | dict[str, str]:
    """The text, or a table with the hash."""
    return {"sha256": line.sha256.hex()} if line.text is None else line.text


def read_generation(value: object) -> VmsaGeneration | None:
    """A generation of VMSA pages; None is ``auto``."""
    if value == AUTO:
        return None
    if value in [generation.value for generation in VmsaGeneration]:
        return VmsaGeneration(value)
    raise FieldProblem("It takes “auto” (both are tried, legacy first), “legacy” or “init2”.")


def write_generation(generation: VmsaGeneration | None) -> str:
    """The word for it."""
    return AUTO if generation is None else generation.value


def read_sev_features(value: object) -> int:
    """A number of 64 bits."""
    return read_whole(value, SEV_FEATURES_MAX, base=16)


def read_route(value: object) -> Route:
    """Who reads the disk passphrase."""
    if value in [route.value for route in Route]:
        return Route(value)
    raise FieldProblem("It takes “grub” or “kernel”: who reads the disk passphrase in the guest.")


def read_host(value: object) -> str:
    """A host's URL, as far as its form goes; whoever connects reads it strictly."""
    text = read_text(value, 2100)
    if _URL_PASSWORD.search(text):
        raise FieldProblem("There is a password in it; a profile holds none.")
    if not _URL.fullmatch(text):
        raise FieldProblem("It takes a URL in ASCII such as qmp+unix:///run/vm1.sock.")
    return text


def read_path(value: object) -> str:
    """The whole path of a file."""
    text = read_text(value, _LONGEST_PATH)
    if "\0" in text or not text.startswith("/") or text.endswith("/"):
        raise FieldProblem("It takes the whole path of a file, from / on.")
    return text


def read_sha256(value: object) -> str:
    """64 hex digits, in lower case."""
    text = value.lower() if isinstance(value, str) else ""
    if _SHA256.fullmatch(text):
        return text
    raise FieldProblem("It takes the 64 hex digits of a SHA-256.")


def read_chip_id(value: object) -> str:
    """128 hex digits, in lower case."""
    text = value.lower() if isinstance(value, str) else ""
    if _CHIP_ID.fullmatch(text):
        return text
    raise FieldProblem("It takes the 128 hex digits of a chip id (64 bytes).")


def read_time(value: object) -> datetime:
    """A moment in UTC, whole seconds."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise FieldProblem("It takes a moment with its zone, such as 2026-11-23T14:00:00Z.")
    try:
        return value.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        raise FieldProblem("It takes a moment of this age.") from None


@_in_words
def read_secret_key(value: str) -> str:
    """The name under which the guest finds a secret: a well-known name or a GUID."""
    if looks_like_a_value(value):
        raise FieldProblem(
            "This looks like a secret itself; a well-known name or a GUID goes here."
        )
    parse_secret_name(value)
    return value.strip().lower()


def read_entry(value: object) -> str:
    """The name of a vault entry; what looks like a value is refused, and never repeated."""
    if not isinstance(value, str):
        raise FieldProblem(
            "It takes the name of a vault entry, in quotes; a profile holds no secrets."
        )
    if looks_like_a_value(value):
        raise FieldProblem(
            "This looks like a secret itself; it takes the name of a vault entry. Put the secret"
            " into the vault, and if this file was ever stored or sent, replace the secret."
        )
    if not ENTRY_NAME.fullmatch(value):
        raise FieldProblem(
            "It takes the name of a vault entry such as vm1/disk: letters, digits and . _ @ + -,"
            " parted by slashes. The secret itself never goes here."
        )
    return value


def looks_like_a_value(text: str) -> bool:
    """Whether a text is rather a key or passphrase than a name that somebody gave to one.

    Keys in hex, and nearly all in base64, are found; a short password can't be.
    """
    if "-----BEGIN" in text or len(text) > 128 or text.endswith("="):
        return True
    words = re.findall(r"[A-Za-z0-9]{16,}", text)
    if any(re.fullmatch(r"[0-9a-f]{32,}|[0-9A-F]{32,}", word) for word in words):
        return True
    if len(text) >= 32 and re.fullmatch(r"[A-Za-z0-9+/_-]+", text):
        words.append(text.translate(_SEPARATORS))
    return any(_is_random(word) for word in words)


def _is_random(word: str) -> bool:
    """Whether small letters, capitals and digits change more often than in words."""
    runs = _KIND.findall(word)
    kinds = {(run.isdigit(), run.islower()) for run in runs}
    return len(kinds) == 3 and len(runs) > 0.45 * len(word)
