# SPDX-License-Identifier: Apache-2.0
"""A guest's console is hostile text: bounded, searched whatever its pieces, never obeyed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.rehearsal.qemu_console import Console, ConsoleMarkers, Sign
from watchword.core.rehearsal.qemu_run import _within
from watchword.core.secret import Secret

MARKERS = ConsoleMarkers(unlocked=("it is open",), asked=("Enter passphrase for",), refused=())


def test_a_sign_is_seen_although_escape_sequences_stand_in_it() -> None:
    console = Console(MARKERS)
    console.feed(b"\x1b[2J\x1b[01;01HEnter\x1b[0m pass\x1b[1;37;40mphrase for hd0,gpt2: ")
    assert console.signs == {Sign.ASKED: "Enter passphrase for"}
    assert console.lines == ("Enter passphrase for hd0,gpt2:",)


@given(st.lists(st.integers(min_value=1, max_value=30), max_size=20))
def test_a_sign_is_seen_whatever_the_pieces_in_which_it_comes(cuts: list[int]) -> None:
    console = Console(MARKERS)
    text = b"noise\r\n\x1b[31;1mit is\x1b[0m open\r\nmore\r\n"
    position = 0
    for cut in [*cuts, len(text)]:
        console.feed(text[position : position + cut])
        position += cut
    assert console.signs == {Sign.UNLOCKED: "it is open"}
    assert console.lines == ("noise", "it is open", "more")


def test_what_is_kept_of_a_flood_is_bounded() -> None:
    console = Console(MARKERS)
    for _ in range(64):
        console.feed(b"A" * 65536)
    console.feed(b"\n" * 100_000 + b"line\n" * 10_000)
    assert console.total > 4 << 20
    assert len(console.lines) <= 31
    assert max(map(len, console.lines)) <= 400
    assert sum(map(len, console.lines)) < 20_000


@given(st.binary(max_size=300))
def test_no_bytes_at_all_are_too_much_for_it(data: bytes) -> None:
    shown: list[str] = []
    console = Console(ConsoleMarkers(), shown.append)
    console.feed(data)
    console.feed(data)
    assert all(isinstance(line, str) for line in (*shown, *console.lines))


@pytest.mark.parametrize("marker", ["", "x" * 201])
def test_a_text_that_would_always_or_never_be_there_is_no_sign(marker: str) -> None:
    console = Console(ConsoleMarkers(unlocked=(marker,), asked=(), refused=()))
    console.feed(b"x" * 300)
    assert console.signs == {}


def test_a_secret_on_the_console_is_noticed_across_two_pieces() -> None:
    console = Console(MARKERS, None, lambda text: b"hunter2" in text)
    console.feed(b"key is hun")
    assert not console.leaked
    console.feed(b"ter2\n")
    assert console.leaked


def test_a_prompt_is_shown_although_its_line_never_ends() -> None:
    shown: list[str] = []
    console = Console(ConsoleMarkers(), shown.append)
    console.feed(b"web1 ready\r\nweb1 login: ")
    assert shown == ["web1 ready"]
    console.finish()
    console.finish()
    assert shown == ["web1 ready", "web1 login:"]
    assert console.lines == ("web1 ready", "web1 login:")


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\0"])
def test_a_secret_is_known_however_its_line_ends(end: bytes) -> None:
    secret = Secret(b"hunter2" + end)
    assert _within(secret, b"the key is hunter2\r\n")
    assert not _within(secret, b"the key is hunter\r\n")
    assert not _within(Secret(b"\n"), b"\r\n")


def test_a_secret_of_several_lines_is_noticed_though_a_terminal_ends_them_otherwise() -> None:
    secret = Secret(b"-----BEGIN KEY-----\nhunter2\n-----END KEY-----\n")
    console = Console(MARKERS, None, lambda text: _within(secret, text))
    console.feed(b"# cat key\r\n-----BEGIN KEY-----\r")
    console.feed(b"\nhunter2\r\n")
    assert not console.leaked
    console.feed(b"-----END KEY-----\r\n")
    assert console.leaked


def test_a_line_with_a_secret_is_neither_kept_nor_shown() -> None:
    shown: list[str] = []
    console = Console(ConsoleMarkers(), shown.append, lambda text: b"hunter2" in text)
    console.feed(b"before\r\nthe key is hun")
    console.feed(b"ter2\r\nafter\r\nonce more: hunter2")
    assert console.leaked
    assert [line for line in shown if "left out" not in line] == ["before", "after"]
    assert "hunter2" not in str(console.lines)
    assert len(console.lines) == 4


def test_the_first_text_of_a_kind_is_the_one_that_is_told() -> None:
    console = Console(ConsoleMarkers(unlocked=("one", "two"), asked=(), refused=()))
    console.feed(b"two")
    console.feed(b"one")
    assert console.signs == {Sign.UNLOCKED: "two"}


def test_the_usual_prompts_and_logins_are_known() -> None:
    for text, sign in {
        b"Enter passphrase for hd0,gpt2 (4ba5): ": Sign.ASKED,
        b"Please enter passphrase for disk vda2 (luks-1): (press TAB)": Sign.ASKED,
        b"Please unlock disk vda2_crypt: ": Sign.ASKED,
        b"debian login: ": Sign.UNLOCKED,
        b"[  OK  ] Reached target multi-user.target - Multi-User System.": Sign.UNLOCKED,
        b"cryptsetup: vda2_crypt: set up successfully": Sign.UNLOCKED,
        b"[    0.000000] Linux version 6.1.0": Sign.BOOTED,
        b"Welcome to GRUB!": Sign.REFUSED,
    }.items():
        console = Console(ConsoleMarkers())
        console.feed(text)
        assert list(console.signs) == [sign], text
