# SPDX-License-Identifier: Apache-2.0
"""Where keys are in a TOML text, in all the ways that TOML has of writing them."""

from __future__ import annotations

from watchword.core.guest.toml_lines import DEEPEST, key_lines, line_of, too_deep

TEXT = '''\
a = 1
b.c = "x" # d = 2
"q\\u0041 x" = 2
[t]
k = [
  1,
  {z = 1, y = [3,
   4]},
  """
  a = 1
  """,
  5,
]
u = {a.b = 1}
[[l]]
x = 1
[[l]]
x = 2979-05-27 07:32:00
[[l.m]]
n = 1
[l.o]
p = 1.5
'''


def test_each_way_of_writing_is_followed():
    lines = key_lines(TEXT)
    assert {place: lines[place] for place in sorted(lines, key=str)} == lines
    expected = {
        ("a",): 1,
        ("b", "c"): 2,
        ("qA x",): 3,
        ("t", "k"): 5,
        ("t", "k", 0): 6,
        ("t", "k", 1, "y", 1): 8,
        ("t", "k", 2): 9,
        ("t", "k", 3): 12,
        ("t", "u", "a", "b"): 14,
        ("l", 0, "x"): 16,
        ("l", 1): 17,
        ("l", 1, "m", 0, "n"): 20,
        ("l", 1, "o", "p"): 22,
    }
    assert {place: lines.get(place) for place in expected} == expected
    assert ("d",) not in lines


def test_what_has_no_line_has_the_line_of_what_it_is_in():
    lines = key_lines(TEXT)
    assert line_of(("l", 1, "missing"), lines) == 17
    assert line_of(("missing",), lines) is None
    assert line_of((), lines) is None


def test_nesting_is_counted_outside_strings_and_comments():
    assert too_deep("a = " + "[" * DEEPEST + "]" * DEEPEST) is None
    assert too_deep("\na = " + "[" * (DEEPEST + 1)) == 2
    assert too_deep("a = '" + "[" * 100 + "' # " + "[" * 100) is None
    assert too_deep("a = {b = [" * 20) == 1
    assert too_deep("a" + ".a" * (DEEPEST + 1) + " = 1") == 1
