# SPDX-License-Identifier: Apache-2.0
"""The light dataclasses behave as those of the module dataclasses, class by class."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core import frozen
from watchword.core.sev.firmware_footer import Area
from watchword.core.sev.kernel_hashes import KernelHashes


def version_made_by(module):
    """A class with all that a dataclass can have here."""

    @module.dataclass(frozen=True, slots=True, order=True)
    class Version:
        """What it is."""

        major: int
        note: str = module.field(repr=False, compare=False)
        build: int = 7
        names: tuple[str, ...] = ()

        LIMIT: ClassVar[int] = 255

        def __post_init__(self) -> None:
            if self.build > self.LIMIT:
                raise ValueError("too large")

        @property
        def both(self) -> tuple[int, int]:
            return self.major, self.build

    return Version


def unordered_made_by(module):
    @module.dataclass(frozen=True, slots=True)
    class Version:
        major: int
        build: int = 0

        def __repr__(self) -> str:
            return f"v{self.major}"

    return Version


LIGHT, ORIGINAL = version_made_by(frozen), version_made_by(dataclasses)
BOTH = pytest.mark.parametrize("version", [LIGHT, ORIGINAL], ids=["light", "original"])
EITHER = pytest.mark.parametrize("make", [version_made_by, unordered_made_by])

arguments = st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.integers(0, 2))


@given(arguments, arguments)
def test_they_are_shown_compared_ordered_and_hashed_alike(one, other):
    ours, theirs = (LIGHT(*one), LIGHT(*other)), (ORIGINAL(*one), ORIGINAL(*other))
    assert repr(ours[0]) == repr(theirs[0]).replace(ORIGINAL.__qualname__, LIGHT.__qualname__)
    assert (ours[0] == ours[1], ours[0] != ours[1]) == (
        theirs[0] == theirs[1],
        one[::2] != other[::2],
    )
    assert (ours[0] < ours[1], ours[0] <= ours[1]) == (
        theirs[0] < theirs[1],
        theirs[0] <= theirs[1],
    )
    assert (ours[0] > ours[1], ours[0] >= ours[1]) == (
        theirs[0] > theirs[1],
        theirs[0] >= theirs[1],
    )
    assert len(set(ours)) == len(set(theirs))


@pytest.mark.parametrize(
    ("given_", "named"),
    [
        ((1, "n"), {}),
        ((1, "n", 2), {}),
        ((1, "n", 2, ("x",)), {}),
        ((), {"note": "n", "major": 1}),
        ((1,), {"names": ("x",), "note": "n"}),
        ((), {}),
        ((1,), {}),
        ((1, "n", 2, (), 5), {}),
        ((1, "n"), {"major": 2}),
        ((1, "n"), {"other": 2}),
        ((), {"note": "n"}),
    ],
)
def test_they_take_the_same_arguments(given_, named):
    outcomes = []
    for version in (LIGHT, ORIGINAL):
        try:
            made = version(*given_, **named)
        except TypeError:
            outcomes.append("refused")
        else:
            outcomes.append((made.major, made.note, made.build, made.names, made.both))
    assert outcomes[0] == outcomes[1]


@BOTH
def test_values_are_checked_whichever_way_they_are_made(version):
    good = version(1, "n")
    for attempt in (
        lambda: version(1, "n", 256),
        lambda: version(1, note="n", build=256),
        lambda: dataclasses.replace(good, build=256),
    ):
        with pytest.raises(ValueError, match="too large"):
            attempt()


@BOTH
def test_nothing_about_a_value_changes(version):
    value = version(1, "n")
    with pytest.raises(AttributeError):
        value.major = 2
    with pytest.raises(AttributeError):
        del value.major
    with pytest.raises((AttributeError, TypeError)):  # 3.11's own slots classes raise TypeError
        value.other = 2
    assert not hasattr(value, "__dict__")
    assert value == version(1, "n")


@BOTH
def test_classes_keep_their_names_constants_and_fields(version):
    assert version.__name__ == "Version"
    assert version.__qualname__ == "version_made_by.<locals>.Version"
    assert version.__module__ == __name__
    assert inspect.getdoc(version) == "What it is."
    assert version.LIMIT == 255
    assert version.__match_args__ == ("major", "note", "build", "names")
    assert version.__slots__ == ("major", "note", "build", "names")
    shown = [(f.name, f.type, f.default, f.repr, f.compare) for f in dataclasses.fields(version)]
    missing = dataclasses.MISSING
    assert shown == [
        ("major", "int", missing, True, True),
        ("note", "str", missing, False, False),
        ("build", "int", 7, True, True),
        ("names", "tuple[str, ...]", (), True, True),
    ]


@BOTH
def test_the_module_dataclasses_works_with_them(version):
    value = version(1, "n")
    assert dataclasses.is_dataclass(value)
    assert dataclasses.replace(value, build=9) == version(1, "n", 9)
    assert dataclasses.asdict(value) == {"major": 1, "note": "n", "build": 7, "names": ()}
    assert dataclasses.astuple(value) == (1, "n", 7, ())


@EITHER
def test_values_of_another_class_are_never_equal_and_never_ordered(make):
    for one, other in ((make(frozen), make(frozen)), (make(dataclasses), make(dataclasses))):
        first, second = one(1, 2), other(1, 2)
        assert first != second
        assert first != (1, 2)
        with pytest.raises(TypeError):
            first < second  # noqa: B015 - it is the comparison that raises


def test_without_order_values_are_not_ordered():
    for module in (frozen, dataclasses):
        version = unordered_made_by(module)
        with pytest.raises(TypeError):
            version(1) < version(2)  # noqa: B015 - it is the comparison that raises


def test_a_class_may_show_itself_in_its_own_way():
    assert [repr(unordered_made_by(m)(3)) for m in (frozen, dataclasses)] == ["v3", "v3"]


def test_patterns_match_their_fields():
    match Area(1, 2):
        case Area(base, size):
            assert (base, size) == (1, 2)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]
)
def test_copies_are_equal(duplicate):
    hashes = KernelHashes(bytes(32), b"i" * 32, b"c" * 32)
    assert duplicate(hashes) == hashes


@pytest.mark.parametrize(
    "kind", [{"frozen": True, "slots": False}, {"frozen": False, "slots": True}]
)
def test_other_kinds_are_left_to_the_original(kind):
    with pytest.raises(TypeError, match="module dataclasses"):
        frozen.dataclass(**kind)
