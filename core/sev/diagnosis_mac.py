# SPDX-License-Identifier: Apache-2.0
"""In what a measurement's MAC differs when people get it wrong: key, policy, firmware version."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TypeVar

from .diagnosis_question import Alternative, Deviation, distinct
from .firmware_version import FirmwareVersion
from .policy import DEFAULT_POLICY, OLDEST_SAFE_API, PolicyFlag

TIK, TEK = 0, 1
"""Which key made a MAC."""
OLD_FORM = b""
"""What a MAC of API before 0.17 begins with; later ones begin with 0x04 and the version."""
_MEASURE_CONTEXT = 4
_U32 = struct.Struct("<I")
_FLAGS = 0x3F
_API_BITS = 0xFFFF0000

# Without minimum API: QEMU's default and its neighbours, and what virt-install gives.
_COMMON_FLAGS = (0x0, 0x1, 0x3, 0x5, 0x7)
_OTHER_FLAGS = (0xB, 0xF, 0x20, 0x21, 0x23, 0x25, 0x27, 0x2B, 0x2F, 0x3F)
# API and the builds that go with it: any firmware that can be about.
_APIS = (*((0, minor) for minor in range(14, 25)), *((1, minor) for minor in range(30, 61)))
_BUILDS = 64

_Numbers = tuple[int, int, int]
"""API major and minor, build: each 0 to 255."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MacVariant:
    """A key and what it was used on, before launch digest and nonce.

    ``key``         TIK or TEK
    ``prefix``      4 or 8 bytes: context and version if any, policy
    ``changes``     in what it differs from what was expected
    ``without_es``  whether it is for a policy without ES, in the place of the approved one
    """

    key: int
    prefix: bytes
    changes: tuple[Alternative[int] | Alternative[bytes], ...]
    without_es: bool


@dataclass(frozen=True, slots=True)
class MacSpace:
    """All keys, policies (32 bits) and heads of a MAC (0 or 4 bytes) that are tried."""

    policy: int
    version: FirmwareVersion
    keys: tuple[Alternative[int], ...]
    policies: tuple[Alternative[int], ...]
    heads: tuple[Alternative[bytes], ...]

    @classmethod
    def of(cls, policy: int, version: FirmwareVersion, *, tek_known: bool) -> MacSpace:
        """What may have been instead of this policy, this version and the TIK."""
        keys = (Alternative(TEK, 3, (_swapped_keys,)),) if tek_known else ()
        return cls(policy, version, keys, policy_alternatives(policy), head_alternatives(version))

    def variants(self, changes: int, level: int) -> Iterator[MacVariant]:
        """Those with so many changes, among variants of ``level`` deviations in all."""
        for with_key, with_policy, with_head in product((0, 1), repeat=3):
            if with_key + with_policy + with_head == changes:
                picked = product(
                    _pick(self.keys, with_key, level),
                    _pick(self.policies, with_policy, level),
                    _pick(self.heads, with_head, level),
                )
                yield from (self._variant(*choice) for choice in picked)

    def of_any_version(self) -> Iterator[MacVariant]:
        """Those that differ in the firmware's version alone, whatever that is."""
        policy = _U32.pack(self.policy)
        for numbers in _any_version(self.version):
            words = partial(_other_version, self.version, numbers, "firmware-version")
            change = Alternative(_head(*numbers), 1, (words,))
            yield MacVariant(TIK, change.value + policy, (change,), without_es=False)

    def _variant(
        self,
        key: Alternative[int] | None,
        policy: Alternative[int] | None,
        head: Alternative[bytes] | None,
    ) -> MacVariant:
        value = policy.value if policy else self.policy
        return MacVariant(
            key=key.value if key else TIK,
            prefix=(head.value if head else _head(*self.version.api, self.version.build))
            + _U32.pack(value),
            changes=tuple(one for one in (key, policy, head) if one is not None),
            without_es=policy is not None and not value & PolicyFlag.ES.value,
        )


def _pick(
    alternatives: Sequence[Alternative[T]], wanted: int, level: int
) -> Iterable[Alternative[T] | None]:
    """One of the alternatives, or none of them."""
    return [one for one in alternatives if one.depth >= level] if wanted else (None,)


# -- keys ----------------------------------------------------------------------------


def _swapped_keys() -> Deviation:
    return Deviation(
        "tek-tik-swapped",
        "TEK and TIK have changed places: the measurement was made with the key that is given as"
        " TEK.",
        "Give each as what it is (sev-tool's tmp_tk.bin holds TEK first, then TIK). If the"
        " launch blob itself was made with the two the wrong way round, start a new launch.",
    )


# -- policy --------------------------------------------------------------------------


def policy_alternatives(approved: int) -> tuple[Alternative[int], ...]:
    """Other policies: what tools make of the approved one, then common ones, then all flags.

    Source: AMD SEV API specification, chapter 3; sessions that sev-tool and sevctl 0.6.2 made.
    """
    mangled = distinct(approved, _mangled(approved), all_reasons=True)
    return distinct(approved, (*mangled, *_usual(approved), *_any_flags(approved)))


def _mangled(approved: int) -> Iterator[Alternative[int]]:
    def made(code: str, depth: int, value: int, how: str) -> Alternative[int]:
        return Alternative(value, depth, (partial(_other_policy, approved, value, code, how),))

    flags, major, minor = approved & 0xFFFF, approved >> 16 & 0xFF, approved >> 24
    yield made("policy-cut-to-8-bits", 3, approved & 0xFF, "sev-tool cuts yours to that")
    # The tool takes the low byte of the upper half for two numbers of 4 bits.
    split = approved & _FLAGS | (major >> 4) << 16 | (major & 0xF) << 24
    yield made("policy-nibbles-split", 3, split, "sevctl makes that of yours")
    turned = flags | minor << 16 | major << 24
    yield made("policy-api-swapped", 3, turned, "major and minor of the minimum API are swapped")
    how = "one of the two was read in hex, the other in decimal"
    for value in _hex_for_decimal(approved):
        yield made("policy-hex-decimal", 2, value, how)
    reversed_bytes = int.from_bytes(approved.to_bytes(4, "little"), "big")
    yield made("policy-bytes-reversed", 2, reversed_bytes, "its bytes are in reverse order")


def _hex_for_decimal(number: int) -> Iterator[int]:
    """The same digits read with the other base."""
    if int(str(number), 16) < 1 << 32:
        yield int(str(number), 16)
    if f"{number:x}".isdecimal():
        yield int(f"{number:x}")


def _usual(approved: int) -> Iterator[Alternative[int]]:
    low, api = approved & 0xFFFF, approved & _API_BITS
    for value in (low, approved ^ PolicyFlag.ES, low ^ PolicyFlag.ES, DEFAULT_POLICY.value):
        yield _plain(approved, value, 3)
    for flags in _COMMON_FLAGS:
        yield _plain(approved, flags, 3)
    for flags in (*_COMMON_FLAGS, *_OTHER_FLAGS):
        yield _plain(approved, flags, 2)
        yield _plain(approved, flags | api, 2)
    for flag in PolicyFlag:
        yield _plain(approved, approved ^ flag, 2)
    for major, minor in (OLDEST_SAFE_API, (0, 22), (1, 49), (1, 51), (1, 55)):
        yield _plain(approved, low | major << 16 | minor << 24, 2)


def _any_flags(approved: int) -> Iterator[Alternative[int]]:
    for api in (0, approved & _API_BITS, DEFAULT_POLICY.value & _API_BITS):
        for flags in range(_FLAGS + 1):
            yield _plain(approved, flags | api, 1)


def _plain(approved: int, value: int, depth: int) -> Alternative[int]:
    return Alternative(value, depth, (partial(_other_policy, approved, value),))


def _other_policy(approved: int, value: int, code: str | None = None, how: str = "") -> Deviation:
    """A policy is in the blob's own MAC: no host can change it without the blob's maker."""
    lost = _lost(approved, value)
    text = f"The VM was started with policy {value:#x}, not {approved:#x}"
    text += f" ({how})." if how else "."
    if lost:
        return Deviation(
            code or "policy-weaker",
            f"{text} It is weaker: it gives up {lost}.",
            "Do not approve the weaker policy to get past this. Secure processors take only the"
            " policy that a launch blob was made for: start a new launch with a blob made for"
            f" {approved:#x}. If the VM runs under the weaker one again, do not trust the host.",
            alarm=True,
            on_host=_same_policy(approved),
        )
    return Deviation(
        code or "policy-differs",
        f"{text} It gives up nothing.",
        f"Start a new launch with a blob made for {approved:#x}, or give the policy that this"
        " one was made for.",
        on_host=_same_policy(approved),
    )


def _same_policy(approved: int) -> str:
    return f"Start the VM with the policy of the launch blob: policy={approved:#x}."


def _lost(approved: int, value: int) -> str:
    """The protection that the approved policy has and the other has not."""
    names = [str(flag.name) for flag in PolicyFlag if flag & approved & ~value]
    least, now = ((number >> 16 & 0xFF, number >> 24) for number in (approved, value))
    if now < least:
        names.append("the minimum API {}.{}".format(*least))
    return ", ".join(names)


# -- the firmware's version ----------------------------------------------------------


def head_alternatives(said: FirmwareVersion) -> tuple[Alternative[bytes], ...]:
    """Other heads of the MAC: mistakes in writing, and the form that names no version."""
    miswritten = (
        Alternative(_head(*numbers), 3, (partial(_other_version, said, numbers, code, how),))
        for numbers, code, how in _miswritten(said)
    )
    old = Alternative(OLD_FORM, 3, (_old_form,))
    return distinct(_head(*said.api, said.build), (*miswritten, old))


def _miswritten(said: FirmwareVersion) -> Iterator[tuple[_Numbers, str, str]]:
    major, minor, build = said.api_major, said.api_minor, said.build
    how = "the number was read in the wrong base, hex or decimal"
    builds = [number for number in _hex_for_decimal(build) if number <= 255]
    minors = [number for number in _hex_for_decimal(minor) if number <= 255]
    for other in builds:
        yield (major, minor, other), "build-hex-decimal", how
    for other in minors:
        yield (major, other, build), "api-hex-decimal", how
    for pair in product(minors, builds):
        yield (major, *pair), "api-hex-decimal", how
    how = "two of the numbers have changed places"
    yield (minor, major, build), "api-swapped", how
    yield (major, build, minor), "api-build-swapped", how


def _any_version(said: FirmwareVersion) -> Iterator[_Numbers]:
    """The likelier first; some come twice, which costs less than to look."""
    for build in range(256):
        yield (*said.api, build)
    for api in _APIS:
        yield (*api, said.build)
    for api in _APIS:
        for build in range(_BUILDS):
            yield (*api, build)


def _head(api_major: int, api_minor: int, build: int) -> bytes:
    return bytes((_MEASURE_CONTEXT, api_major, api_minor, build))


def _other_version(said: FirmwareVersion, numbers: _Numbers, code: str, how: str = "") -> Deviation:
    version = FirmwareVersion(*numbers)
    return Deviation(
        code,
        f"The secure processor's firmware is {version}, not {said}"
        + (f" ({how})." if how else "."),
        f"Give the version in decimal, as query-sev prints it: --api {version.api_major}."
        f"{version.api_minor} --build {version.build}. If the host itself says {said}, it does"
        " not say the truth: ask its operator why.",
        on_host=f"Find out why query-sev says {said}, where the SEV firmware is {version}.",
        alarm=version < said and code == "firmware-version",
    )


def _old_form() -> Deviation:
    return Deviation(
        "api-before-0.17",
        "The measurement is of the form before API 0.17, which names no firmware version.",
        "Such firmware is never given a secret: its packets fit any VM that was started from the"
        " same blob. Ask the host's operator to update the SEV firmware, then start a new launch.",
        alarm=True,
        on_host="Update the SEV firmware of the host: its API must be 0.17 or newer.",
    )
