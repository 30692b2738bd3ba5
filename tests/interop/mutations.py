# SPDX-License-Identifier: Apache-2.0
"""Ways in which a claim about a VM can be wrong, and where two programs may answer differently."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from .claims import Claim, Guest

Mutation = Callable[[Claim], Claim]
ES, RESERVED_BIT = 1 << 2, 1 << 6


def _guest(**changes: object) -> Mutation:
    return lambda claim: replace(claim, guest=replace(claim.guest, **changes))


def _of_guest(change: Callable[[Guest], Guest]) -> Mutation:
    return lambda claim: replace(claim, guest=change(claim.guest))


def _with_kernel(**changes: object) -> Mutation:
    """Only where a kernel is claimed."""

    def change(claim: Claim) -> Claim:
        return claim if claim.guest.kernel is None else _guest(**changes)(claim)

    return change


def _with_vcpus(change: Callable[[Guest], Guest]) -> Mutation:
    """Only where vCPUs are claimed."""
    return _of_guest(lambda guest: guest if guest.vcpus is None else change(guest))


def _more_vcpus(more: int) -> Mutation:
    return _with_vcpus(lambda guest: replace(guest, vcpus=max(1, (guest.vcpus or 0) + more)))


def _cpu(family: int, model: int, stepping: int) -> Mutation:
    def change(guest: Guest) -> Guest:
        old = guest.cpu
        return replace(guest, cpu=(old[0] + family, old[1] + model, old[2] + stepping))

    return _with_vcpus(change)


def _cmdline(more: str) -> Mutation:
    def change(guest: Guest) -> Guest:
        if guest.kernel is None:
            return guest
        return replace(guest, cmdline=(guest.cmdline or "") + more)

    return _of_guest(change)


def _pages(claim: Claim) -> Claim:
    return claim if claim.guest.vcpus is None else replace(claim, pages=True)


def _policy(flip: int) -> Mutation:
    return lambda claim: replace(claim, policy=claim.policy ^ flip)


def _version(major: int, minor: int, build: int) -> Mutation:
    def change(claim: Claim) -> Claim:
        return replace(
            claim,
            api=(claim.api[0] ^ major, claim.api[1] ^ minor),
            build=claim.build ^ build,
        )

    return change


def _reported(change: Callable[[bytes], bytes]) -> Mutation:
    def mutate(claim: Claim) -> Claim:
        changed = change(base64.b64decode(claim.reported))
        return replace(claim, reported=base64.b64encode(changed).decode())

    return mutate


def _flip(place: int) -> Mutation:
    return _reported(lambda data: data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def _keys(name: str) -> Mutation:
    """A folder beside the claim's own."""
    return lambda claim: replace(claim, keys=claim.keys.with_name(f"{name}-{claim.policy:x}"))


MUTATIONS: Mapping[str, Mutation] = {
    "nothing": lambda claim: claim,
    "other firmware": _guest(firmware="other-firmware"),
    "firmware with another reset address": _guest(firmware="other-reset"),
    "firmware without a table": _guest(firmware="no-table"),
    "firmware without a hash area": _guest(firmware="no-hash-area"),
    "firmware cut short": _guest(firmware="cut-short"),
    "no firmware": _guest(firmware="absent"),
    "kernel where there is none": lambda claim: (
        claim if claim.guest.kernel else _guest(kernel="kernel")(claim)
    ),
    "no kernel": _guest(kernel=None, initrd=None, cmdline=None),
    "other kernel": _with_kernel(kernel="other-kernel"),
    "other initrd": _with_kernel(initrd="other-initrd"),
    "no initrd": _with_kernel(initrd=None),
    "empty initrd": _with_kernel(initrd="empty"),
    "no command line": _with_kernel(cmdline=None),
    "empty command line": _with_kernel(cmdline=""),
    "trailing blank": _cmdline(" "),
    "trailing newline": _cmdline("\n"),
    "another option": _cmdline(" single"),
    "one vCPU more": _more_vcpus(1),
    "one vCPU less": _more_vcpus(-1),
    "other family": _cpu(1, 0, 0),
    "other model": _cpu(0, 16, 0),
    "other stepping": _cpu(0, 0, 1),
    "other VMSA generation": lambda claim: _pages(
        _with_vcpus(lambda guest: replace(guest, init2=not guest.init2))(claim)
    ),
    "other SEV features": lambda claim: _pages(
        _with_vcpus(lambda guest: replace(guest, features=guest.features ^ 0x20))(claim)
    ),
    "pages as files": _pages,
    "policy with debugging": _policy(1),
    "policy with another ES bit": _policy(ES),
    "policy with a reserved bit": _policy(RESERVED_BIT),
    "policy with another least API": _policy(1 << 24),
    "other API major": _version(1, 0, 0),
    "other API minor": _version(0, 1, 0),
    "other build": _version(0, 0, 1),
    "build read as hex": lambda claim: replace(claim, build=int(str(claim.build), 16)),
    "flipped bit in the MAC": _flip(7),
    "flipped bit in the nonce": _flip(40),
}
"""Each gives a claim back as it was where it does not apply."""

FORM_MUTATIONS: Mapping[str, Mutation] = {
    "build out of range": _version(0, 0, 256),
    "one byte short": _reported(lambda data: data[:-1]),
    "one byte more": _reported(lambda data: data + b"\0"),
    "only the MAC": _reported(lambda data: data[:32]),
    "a character cut off": lambda claim: replace(claim, reported=claim.reported[:-1]),
    "junk in the base64": lambda claim: replace(
        claim, reported=claim.reported[:20] + "*" + claim.reported[20:]
    ),
    "TEK and TIK swapped": _keys("swapped"),
    "keys of another launch": _keys("other"),
    "keys cut short": _keys("short"),
}
"""Of the form of what is given, whatever the VM: a few VMs are enough for these."""


@dataclass(frozen=True, slots=True)
class KnownDifference:
    """The peer's exit statuses, and our error codes (None: accepted), where the two may differ."""

    theirs: frozenset[int]
    ours: frozenset[str | None]

    @classmethod
    def of(cls, theirs: Iterable[int], *ours: str | None) -> KnownDifference:
        return cls(frozenset(theirs), frozenset(ours))


KNOWN_DIFFERENCES: Mapping[str, KnownDifference] = {
    "loose-measurement": KnownDifference.of(
        (0, 1), "bad-measurement", "base64-junk", "base64-too-large"
    ),
    "vcpus-without-es": KnownDifference.of((0, 1), "vcpus-without-es"),
    "kernel-without-hash-area": KnownDifference.of((1,), "firmware-without-kernel-hashes"),
    "cut-short-firmware": KnownDifference.of((1,), "firmware-size"),
    "reserved-policy-bit": KnownDifference.of((1,), "bad-policy"),
    "one-vcpu-by-page": KnownDifference.of((6,), None, "measurement-mismatch"),
    "one-vcpu-without-table": KnownDifference.of((6,), "measurement-mismatch"),
    "page-without-table": KnownDifference.of((1,), "firmware-without-reset-block"),
    "known-bad-build": KnownDifference.of((0,), "firmware-known-bad"),
}


def known_differences(claim: Claim) -> Iterator[str]:
    """Those that may show with this claim; told from the claim alone, never from an answer."""
    guest = claim.guest
    es = bool(claim.policy & ES)
    without_table = guest.firmware in ("no-table", "cut-short")
    if not _is_strict(claim.reported):
        yield "loose-measurement"
    if guest.vcpus is not None and not es:
        yield "vcpus-without-es"
    if guest.kernel is not None and (without_table or guest.firmware == "no-hash-area"):
        yield "kernel-without-hash-area"
    if guest.firmware == "cut-short":
        yield "cut-short-firmware"
    if claim.policy & RESERVED_BIT:
        yield "reserved-policy-bit"
    if guest.vcpus == 1 and es and claim.pages:
        yield "one-vcpu-by-page"
    if guest.vcpus == 1 and without_table and not claim.pages:
        yield "one-vcpu-without-table"
    if (guest.vcpus or 0) > 1 and without_table and claim.pages:
        yield "page-without-table"
    if claim.api == (0, 17) and claim.build < 22:
        yield "known-bad-build"


def _is_strict(reported: str) -> bool:
    try:
        return len(base64.b64decode(reported, validate=True)) == 48
    except ValueError:
        return False
