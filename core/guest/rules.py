# SPDX-License-Identifier: Apache-2.0
"""The rules that hold between the values of a profile, checked even where some are unreadable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from .fields import AUTO, read_policy
from .problems import FieldProblem, Problem, ProfilePath

Document = Mapping[str, object]
"""A profile as TOML gives it: unchecked values."""

FILES: Final = ("firmware", "kernel", "initrd")
"""The components that are files."""


class RulesBroken(FieldProblem):
    """Rules that a profile breaks although each of its values is sound."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(" ".join(problem.sentence for problem in problems))
        self.problems = problems


def broken_rules(document: Document) -> tuple[Problem, ...]:
    """What does not go together in a profile; values that can't be read are passed over."""
    return (
        *_no_firmware(document),
        *_technology(document),
        *_vcpus(document),
        *_direct_boot(document),
        *_firmware_by_hash(document),
        *_twice(document),
    )


def needs_es(document: Document) -> bool | None:
    """Whether the policy asks for SEV-ES; None where it can't be read."""
    try:
        return read_policy(document.get("policy")).needs_es
    except FieldProblem:
        return None


def file_entries(document: Document, component: str) -> Iterator[tuple[ProfilePath, Document]]:
    """Place and table of each file of a component, however it was written."""
    value = document.get(component, ())
    for index, entry in enumerate(value if isinstance(value, list | tuple) else [value]):
        place = (component, index)
        if isinstance(entry, str):
            yield place, {"path": entry}
        elif isinstance(entry, Mapping):
            yield place, entry


def _no_firmware(document: Document) -> Iterator[Problem]:
    if document.get("firmware") in ([], ()):
        yield Problem(("firmware",), "It takes one at least.")


def _technology(document: Document) -> Iterator[Problem]:
    es, stated = needs_es(document), document.get("technology")
    if es is not None and stated in ("sev", "sev-es") and es != (stated == "sev-es"):
        bit = "has the ES bit" if es else "has no ES bit"
        yield Problem(
            ("technology",), f"It says “{stated}”, but the policy {bit}. Change one of the two."
        )


def _vcpus(document: Document) -> Iterator[Problem]:
    es = needs_es(document)
    if es is True:
        for key, what in (("vcpus", "their number"), ("cpu", "the CPU's signature")):
            if not document.get(key):
                yield Problem(
                    (key,),
                    f"It is missing: SEV-ES measures the vCPUs' first state, and with it {what}.",
                )
    if es is False:
        for key, default in (("vmsa", AUTO), ("sev_features", 0)):
            if key in document and document[key] not in (default, "0x0"):
                yield Problem(
                    (key,),
                    "Plain SEV measures no vCPUs. Leave it out, or ask for ES in the policy.",
                )


def _direct_boot(document: Document) -> Iterator[Problem]:
    if document.get("kernel"):
        return
    for key in ("initrd", "cmdline"):
        if document.get(key) or document.get(key) == "":
            yield Problem(
                (key,),
                "QEMU measures kernel, initrd and command line together, and there is no kernel."
                " Add one, or leave this out.",
            )


def _firmware_by_hash(document: Document) -> Iterator[Problem]:
    es, kernel = needs_es(document), bool(document.get("kernel"))
    if not es and not kernel:
        return
    for place, entry in file_entries(document, "firmware"):
        if "path" not in entry and "sha256" in entry:
            reason = "SEV-ES" if es else "a measured kernel"
            yield Problem(
                place,
                f"With {reason} the launch digest can't be worked out from the firmware's hash."
                " Name the file itself (path).",
            )


def _twice(document: Document) -> Iterator[Problem]:
    for component in FILES:
        seen: set[tuple[str, object]] = set()
        for place, entry in file_entries(document, component):
            for key in ("path", "sha256"):
                value = entry.get(key)
                if isinstance(value, str) and (key, value) in seen:
                    yield Problem(
                        (*place, key),
                        "It is there twice. Keep one; an older hash of the same file goes into an"
                        " entry of its own without the path.",
                    )
                if isinstance(value, str):
                    seen.add((key, value))
