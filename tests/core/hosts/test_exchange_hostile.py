# SPDX-License-Identifier: Apache-2.0
"""Whatever lies in the folder: nothing is followed, nothing hangs, everything is named."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
import os
import socket
import threading
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import (
    ExitStatus,
    HostError,
    UsageError,
    VerificationRefused,
    WatchwordError,
)
from watchword.core.hosts import exchange_folder
from watchword.core.hosts.exchange import ExchangeHost
from watchword.core.hosts.exchange_turns import Turn
from watchword.core.hosts.urls import ExchangeAddress

from .exchange_people import LAUNCH, b64

MEASURED = f"""\
sev-measurement   : {b64(bytes(range(48)))}
sev-api-major     : 1
sev-api-minor     : 55
sev-build-id      : 21
sev-policy        : 285212719
"""
CANARY = "this stands in a file of the owner's"


@pytest.fixture
def host(tmp_path):
    return ExchangeHost(ExchangeAddress(str(tmp_path / "vm1")), LAUNCH)


@pytest.fixture
def turn(tmp_path):
    folder = tmp_path / "vm1" / "3-measurement-from-host"
    folder.mkdir(parents=True)
    return folder


def refused(host, kind=HostError):
    """The error of reading the measurement; it is fit to be shown, and tells nothing private."""
    with pytest.raises(kind) as caught:
        asyncio.run(host.measurement())
    error = caught.value
    assert error.remedy
    assert error.message.isprintable()
    assert CANARY not in json.dumps(error.as_json())
    return error


def test_an_honest_answer_is_read(host, turn):
    (turn / "info.txt").write_text(MEASURED)
    assert asyncio.run(host.measurement()) == bytes(range(48))


def test_a_link_is_not_followed_wherever_it_leads(host, turn, tmp_path):
    private = tmp_path / "private"
    private.write_text(CANARY)
    inside = turn / "real.txt"
    inside.write_text(MEASURED)
    for target in (private, inside, "/dev/zero", "/nowhere", "link"):
        link = turn / "link"
        link.symlink_to(target)
        error = refused(host)
        assert error.code == "exchange-odd-file"
        assert error.details["path"] == str(link)
        assert "symbolic link" in error.message
        link.unlink()


def test_a_link_in_place_of_a_turns_folder_is_not_followed(host, turn, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    turn.rename(elsewhere)
    (elsewhere / "info.txt").write_text(MEASURED)
    turn.symlink_to(elsewhere)
    assert refused(host).code == "exchange-odd-file"


def test_nothing_is_written_through_a_link(host, tmp_path):
    root, elsewhere = tmp_path / "vm1", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / "1-platform-from-host").symlink_to(elsewhere)
    with pytest.raises(HostError) as caught:
        asyncio.run(host.platform())
    assert caught.value.code == "exchange-odd-file"
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("moment", ["before it is made", "before each file"])
def test_nothing_is_written_through_a_link_that_comes_in_between(
    host, tmp_path, monkeypatch, moment
):
    """A host that has the share mounted swaps the folder between look and write."""
    root, elsewhere = tmp_path / "vm1", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "README.txt").write_text("precious")
    turn = root / "2-start-to-host"
    name = "make_folder" if moment == "before it is made" else "write_file"
    real = getattr(exchange_folder, name)

    def swapped_first(path, *arguments, **options):
        if turn.name in str(path) and not turn.is_symlink():
            if turn.exists():
                turn.rename(tmp_path / "moved")
            turn.symlink_to(elsewhere)
        return real(path, *arguments, **options)

    monkeypatch.setattr(exchange_folder, name, swapped_first)
    with contextlib.suppress(HostError):
        host._folder.write(Turn.START, {"README.txt": b"ours", "session.b64": b"x"}, ())
    assert turn.is_symlink()
    assert [path.name for path in elsewhere.iterdir()] == ["README.txt"]
    assert (elsewhere / "README.txt").read_text() == "precious"


def test_the_owners_own_link_to_the_folder_is_followed(turn, tmp_path):
    (turn / "info.txt").write_text(MEASURED)
    (tmp_path / "stick").symlink_to(tmp_path / "vm1")
    host = ExchangeHost(ExchangeAddress(str(tmp_path / "stick")), LAUNCH)
    assert asyncio.run(host.measurement()) == bytes(range(48))


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        folder = os.open(path.parent, os.O_RDONLY)
        try:  # the whole path may be too long for a socket
            server.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (os.mkfifo, "a pipe"),
        (os.mkdir, "a folder"),
        (make_socket, "a socket"),
    ],
)
@pytest.mark.parametrize("name", ["info.txt", "LAUNCH", "SHA256SUMS", "README.txt"])
def test_what_is_no_file_is_named_and_never_waited_for(host, turn, make, word, name):
    make(turn / name)
    error = refused(host)
    assert error.code == "exchange-odd-file"
    assert word in error.message
    assert name in error.message


def test_a_device_is_not_read(host, turn):
    try:
        os.mknod(turn / "zero", 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        os.mkfifo(turn / "zero")  # only root makes devices; a pipe is as endless
    assert refused(host).code == "exchange-odd-file"


def test_a_file_in_place_of_a_turns_folder_is_named(host, turn):
    turn.rmdir()
    turn.write_text(MEASURED)
    assert "is a file" in refused(host).message


def test_a_root_that_is_no_folder_is_named(host, tmp_path):
    os.mkfifo(tmp_path / "vm1")
    assert refused(host).code == "exchange-odd-file"
    with pytest.raises(HostError):
        host.accept_pasted(3, MEASURED)


def test_a_file_that_is_too_large_is_not_read(host, turn):
    with (turn / "info.txt").open("wb") as file:
        file.truncate(exchange_folder.MESSAGE_BYTES + 1)
    error = refused(host)
    assert error.details["reason"] == "file-too-large"
    with (turn / "info.txt").open("wb") as file:
        file.truncate(1 << 40)  # sparse: nothing is written
    assert refused(host).details["reason"] == "file-too-large"


def test_files_that_are_too_much_together_are_not_kept_in_memory(host, turn):
    for number in range(5):
        with (turn / f"{number}.txt").open("wb") as file:
            file.truncate(exchange_folder.MESSAGE_BYTES)
    assert refused(host).code == "exchange-too-much"


@pytest.mark.parametrize("name", ["{}", ".{}"])
def test_thousands_of_files_are_not_looked_at(host, turn, name):
    for number in range(1000):
        (turn / name.format(number)).touch()
    error = refused(host)
    assert error.code == "exchange-too-much"
    assert str(exchange_folder.ENTRIES_MAX) in error.message


def test_more_files_than_an_answer_has_are_refused(host, turn):
    for number in range(exchange_folder.FILES_MAX + 1):
        (turn / f"{number}.txt").write_text(MEASURED)
    assert refused(host).code == "exchange-too-much"


@pytest.mark.parametrize("name", [b"a\x1b[31m.txt", b"a\n.txt", "a\u202etxt".encode(), b"\xff"])
def test_a_name_that_can_not_be_shown_is_refused_and_written_out(host, turn, name):
    (turn / os.fsdecode(name)).write_text(MEASURED)
    error = refused(host)
    assert error.code == "exchange-reply-unusable"
    assert "\\" in error.message


def test_hidden_files_and_editors_copies_are_passed_over(host, turn):
    (turn / "info.txt").write_text(MEASURED)
    (turn / "info.txt~").write_text(MEASURED.replace("55", "54"))
    (turn / ".DS_Store").write_bytes(b"\0\1\2")
    assert asyncio.run(host.measurement()) == bytes(range(48))


def test_an_empty_file_was_never_written_to_the_end(host, turn):
    (turn / "info.txt").touch()
    assert refused(host).details["reason"] == "file-empty"


def test_a_file_without_permission_is_named(host, turn, monkeypatch):
    (turn / "info.txt").write_text(MEASURED)
    real = os.open

    def no_permission(path, flags, *more, **where):
        if path == "info.txt":
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *more, **where)

    monkeypatch.setattr(os, "open", no_permission)
    assert refused(host).details["reason"] == "file-unreadable"


def test_a_file_that_changes_while_it_is_read_is_read_again_later(host, turn, monkeypatch):
    path = turn / "info.txt"
    path.write_text(MEASURED)
    real = os.fstat
    calls = []

    def changing(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            os.utime(path, ns=(1, 1))
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", changing)
    assert refused(host).details["reason"] == "file-changed"


def test_a_file_that_is_swapped_for_a_link_before_it_is_opened_is_not_followed(
    host, turn, tmp_path, monkeypatch
):
    private = tmp_path / "private"
    private.write_text(MEASURED)
    path = turn / "info.txt"
    path.write_text(MEASURED)
    real = exchange_folder._names

    def swapped(folder, shown):
        names = real(folder, shown)
        path.unlink()
        path.symlink_to(private)
        return names

    monkeypatch.setattr(exchange_folder, "_names", swapped)
    assert refused(host).code == "exchange-file-unreadable"


def test_a_folder_that_is_swapped_while_it_is_read_stays_the_one_that_was_opened(
    host, turn, tmp_path, monkeypatch
):
    (turn / "info.txt").write_text(MEASURED)
    real = exchange_folder._names

    def swapped(folder, shown):
        names = real(folder, shown)
        turn.rename(tmp_path / "moved")
        turn.mkdir()
        (turn / "info.txt").write_text(MEASURED.replace("55", "54"))
        return names

    monkeypatch.setattr(exchange_folder, "_names", swapped)
    assert asyncio.run(host.state()).api_minor == 55


def zip_bomb():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pdh.cert", bytes(50_000_000))
    return out.getvalue()


@pytest.mark.parametrize("which", ["1-platform-from-host", "3-measurement-from-host"])
def test_archives_do_no_harm(host, turn, which):
    folder = turn.parent / which
    folder.mkdir(exist_ok=True)
    (folder / "all.zip").write_bytes(zip_bomb())
    with pytest.raises(HostError) as caught:
        asyncio.run((host.platform if which[0] == "1" else host.measurement)())
    assert caught.value.code == "exchange-reply-unusable"
    expected = "claims 50000000 bytes" if which[0] == "1" else "none are opened"
    assert expected in caught.value.message
    (folder / "all.zip").unlink()
    (folder / "all.gz").write_bytes(gzip.compress(bytes(50_000_000)))
    with pytest.raises(HostError) as caught:
        asyncio.run((host.platform if which[0] == "1" else host.measurement)())
    assert caught.value.code == "exchange-reply-unusable"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff\xfe\x00", "not text in UTF-8"),
        ("sev-policy: 1".encode("utf-16"), "not text in UTF-8"),
        (b"a\nb\x00", "control character in line 2"),
        (b"\x1b[31mred", "control character in line 1"),
        ("\u0085".encode(), "control character in line 1"),
        (b'{"return": {"data": ', "never closed"),
        (b'x\n{"a": "\\', "in line 2 is never closed"),
        (b"{" * 100, "nested deeper"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper"),
        (b"{oops}", "no JSON"),
        (b'{"a": NaN}', "no JSON"),
        (b'{"a": 1e999}', "no JSON"),
        (b'{"a": "\\ud800"}', "no JSON"),
        (b'{"return": {"data": "AAAA"}}', "neither a launch measurement"),
        (b'{"return": {"data": 5}}', "neither a launch measurement"),
        (b"{}" * 1002, "more than 1000 messages"),
        (b'{"a":"' + b'\\"' * 500_000, "never closed"),
    ],
)
def test_a_text_that_makes_no_sense_is_refused_with_its_name(host, turn, content, problem):
    (turn / "qmp.txt").write_bytes(content)
    error = refused(host)
    assert error.code == "exchange-reply-unusable"
    assert problem in error.message
    assert str(turn / "qmp.txt") in error.message


SEV = {"api-major": 1, "api-minor": 55, "build-id": 21, "policy": 5, "state": "launch-secret"}
GOOD = {"return": {"enabled": True, "handle": 1, **SEV}}


@pytest.mark.parametrize(
    "change",
    [
        *({"api-minor": value} for value in (-1, 256, "55", 5.5, None, [1], True)),
        {"policy": 1 << 32},
        {"state": "sleeping"},
        {"state": 5},
        {"enabled": "yes"},
        {"sev-type": "other"},
    ],
)
def test_a_field_of_the_wrong_kind_is_refused(host, turn, change):
    measure = {"return": {"data": b64(bytes(48))}}
    for folder_content in (GOOD, measure):
        name = "sev.json" if folder_content is GOOD else "measure.json"
        (turn / name).write_text(json.dumps(folder_content))
    asyncio.run(host.state())
    (turn / "sev.json").write_text(json.dumps({"return": {**GOOD["return"], **change}}))
    with pytest.raises(HostError) as caught:
        asyncio.run(host.state())
    assert caught.value.code == "exchange-reply-unusable"
    assert "sev.json" in caught.value.message


@pytest.mark.parametrize(
    ("change", "code"),
    [({"enabled": False}, "sev-not-enabled"), ({"sev-type": "sev-snp"}, "guest-is-sev-snp")],
)
def test_another_kind_of_guest_is_named_as_such(host, turn, change, code):
    (turn / "sev.json").write_text(json.dumps({"return": {**GOOD["return"], **change}}))
    (turn / "measure.json").write_text(json.dumps({"return": {"data": b64(bytes(48))}}))
    with pytest.raises(HostError) as caught:
        asyncio.run(host.state())
    assert caught.value.code == code


@pytest.mark.parametrize("damage", [lambda t: t[:-1] + "=", lambda t: t[:-4], lambda t: t + "AAAA"])
def test_a_measurement_in_bad_base64_is_refused(host, turn, damage):
    (turn / "answer.txt").write_text(MEASURED.replace(b64(bytes(range(48))), damage("A" * 64)))
    assert refused(host).code == "exchange-reply-unusable"


def test_answers_of_two_vms_are_not_mixed(host, turn):
    (turn / "a.txt").write_text(MEASURED)
    (turn / "b.txt").write_text(MEASURED.replace("55", "54"))
    error = refused(host)
    assert error.code == "exchange-reply-contradicts"
    assert error.details["field"] == "api-minor"
    assert "a.txt" in error.message
    assert "b.txt" in error.message


def test_two_answers_about_the_state_are_not_mixed(host, turn):
    (turn / "a.txt").write_text(MEASURED)
    for name, state in (("b.txt", "running"), ("c.txt", "launch-secret")):
        (turn / name).write_text(json.dumps({"return": {"state": state}}))
    assert refused(host).details["field"] == "state"


def test_one_text_with_two_measurements_is_not_used(host, turn):
    (turn / "a.txt").write_text(MEASURED + MEASURED.replace("AAEC", "AAED"))
    assert refused(host).details["field"] == "measurement"


OTHER = "vm2-20270101-0001"


@pytest.mark.parametrize(
    "content",
    [
        f"launch: {OTHER}\n{MEASURED}",
        f"Launch : {OTHER}",
        json.dumps({"return": {}, "id": f"watchword:{OTHER}"}),
        f"-----BEGIN WATCHWORD ANSWER 3 OF LAUNCH {OTHER}-----\n-----END WATCHWORD ANSWER 3-----\n",
    ],
)
def test_an_answer_for_another_launch_is_named_with_both(host, turn, content):
    (turn / "a.txt").write_text(content)
    error = refused(host, VerificationRefused)
    assert error.code == "reply-of-another-launch"
    assert error.exit_status == ExitStatus.REFUSED
    assert LAUNCH in error.message
    assert OTHER in error.message
    with pytest.raises(VerificationRefused):
        host.accept_pasted(3, content)


@pytest.mark.parametrize("place", [".", "3-measurement-from-host"])
def test_a_folder_of_another_launch_is_named_with_both(host, turn, place):
    (turn / "a.txt").write_text(MEASURED)
    (turn.parent / place / "LAUNCH").write_text(f"launch: {OTHER}\nturn: 3\n")
    error = refused(host, VerificationRefused)
    assert error.code == "reply-of-another-launch"
    assert (error.details["launch"], error.details["other_launch"]) == (LAUNCH, OTHER)
    assert "LAUNCH" in str(error.details["where"])


def test_a_root_that_names_its_launch_by_a_link_or_pipe_is_refused(host, turn, tmp_path):
    (turn / "a.txt").write_text(MEASURED)
    (tmp_path / "elsewhere").write_text(f"launch: {LAUNCH}\n")
    (turn.parent / "LAUNCH").symlink_to(tmp_path / "elsewhere")
    assert refused(host).code == "exchange-odd-file"
    (turn.parent / "LAUNCH").unlink()
    os.mkfifo(turn.parent / "LAUNCH")
    assert refused(host).code == "exchange-odd-file"


def test_a_launch_that_can_not_be_shown_is_written_out(host, turn):
    (turn / "LAUNCH").write_text("launch: \x1b[31m<b>\u202e" + "x" * 500)
    error = refused(host, VerificationRefused)
    assert "\\x1b" in error.message
    assert len(error.message) < 400


def test_a_launch_file_without_a_launch_is_refused(host, turn):
    (turn / "LAUNCH").write_bytes(b"\xff\xfe nothing")
    assert refused(host).code == "exchange-reply-unusable"


def test_checksums_that_match_are_fine_and_an_unlisted_file_too(host, turn):
    (turn / "a.txt").write_text(MEASURED)
    (turn / "b.txt").write_text("remarks")
    lines = sums(turn, "a.txt") + sums(turn, "a.txt", "*3-measurement-from-host/a.txt")
    (turn / "SHA256SUMS").write_text(lines + f"{'0' * 64}  SHA256SUMS\n\n")
    assert asyncio.run(host.measurement()) == bytes(range(48))


def sums(folder, name, written=None):
    import hashlib

    return f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {written or name}\n"


def test_a_damaged_file_is_named(host, turn):
    (turn / "a.txt").write_text(MEASURED)
    (turn / "b.txt").write_text(MEASURED)
    (turn / "SHA256SUMS").write_text(sums(turn, "a.txt") + sums(turn, "b.txt"))
    (turn / "b.txt").write_text(MEASURED.replace("55", "54"))
    error = refused(host)
    assert error.code == "exchange-copying-error"
    assert error.details["path"] == str(turn / "b.txt")
    (turn / "b.txt").unlink()
    error = refused(host)
    assert error.code == "exchange-copying-error"
    assert "is not there" in error.message


@pytest.mark.parametrize(
    "lines",
    [
        b"nonsense\n",
        b"\xff\xff",
        b"0" * 64 + b"  ../../etc/passwd\n",
        b"0" * 64 + b"  /etc/passwd\n",
        b"0" * 64 + b"  a" + b" " * 1_000_000 + b"b",  # takes for ever if blanks are tried twice
        b"0" * 63 + b"  a.txt\n",
        b"0" * 64 + b"  a.txt\n" + b"1" * 64 + b"  a.txt\n",
        b"0" * 64 + b"  a\x1b.txt\n",
        b"\n" * 2000,
    ],
)
def test_a_list_of_checksums_that_is_none_is_refused(host, turn, lines):
    (turn / "a.txt").write_text(MEASURED)
    (turn / "SHA256SUMS").write_bytes(lines)
    assert refused(host).code in ("exchange-reply-unusable", "exchange-copying-error")


@pytest.mark.parametrize("turn_number", [1, 3, 5])
def test_a_pasted_text_that_is_no_answer_leaves_nothing_behind(host, tmp_path, turn_number):
    for text in ("", "hello!", "\ud800", "{", f"launch: {LAUNCH}", "{}"):
        with pytest.raises(HostError):
            host.accept_pasted(turn_number, text)
    assert not (tmp_path / "vm1").exists()


def test_a_pasted_text_that_is_too_long_to_be_read_again_is_refused(host, tmp_path):
    with pytest.raises(HostError) as caught:
        host.accept_pasted(3, MEASURED + " " * exchange_folder.MESSAGE_BYTES)
    assert caught.value.code == "exchange-too-much"
    assert not (tmp_path / "vm1").exists()


def test_a_pasted_text_that_contradicts_what_is_there_is_not_saved(host, turn):
    host.accept_pasted(3, MEASURED)
    with pytest.raises(HostError) as caught:
        host.accept_pasted(3, MEASURED.replace("55", "54"))
    assert caught.value.code == "exchange-reply-contradicts"
    assert [path.name for path in turn.iterdir() if path.name != "LAUNCH"] == ["pasted-1.txt"]


def test_the_same_text_is_kept_once_and_no_text_without_end(host, turn):
    for _ in range(3):
        host.accept_pasted(3, MEASURED)
    assert len(list(turn.glob("pasted-*"))) == 1
    for number in range(31):
        host.accept_pasted(3, MEASURED + f"# {number}\n")
    with pytest.raises(HostError) as caught:
        host.accept_pasted(3, MEASURED + "# one more\n")
    assert caught.value.code == "exchange-too-much"
    assert len(list(turn.glob("pasted-*"))) == 32


@pytest.mark.parametrize("turn_number", [0, 2, 4, 6, -1])
def test_only_answers_are_pasted(host, turn_number):
    with pytest.raises(UsageError) as caught:
        host.accept_pasted(turn_number, MEASURED)
    assert caught.value.code == "bad-turn"


def test_reading_leaves_no_thread_behind(host, turn):
    before = threading.active_count()
    (turn / "info.txt").write_text(MEASURED)
    for _ in range(5):
        asyncio.run(host.measurement())
    for thread in threading.enumerate():
        if thread.name == "watchword-files":
            thread.join(5)
    assert threading.active_count() == before


names = st.sampled_from(["a.txt", "answer.txt", "LAUNCH", "SHA256SUMS", "README.txt", "z.json"])
pieces = st.sampled_from(
    [
        *(line + "\n" for line in MEASURED.splitlines()),
        json.dumps(GOOD),
        '{"return": {',
        "}",
        "launch: " + LAUNCH + "\n",
        f"-----BEGIN WATCHWORD ANSWER 3 OF LAUNCH {LAUNCH}-----\n",
        "-----END WATCHWORD ANSWER 3-----\n",
        "sha256: \n",
        "error: no\n",
        "running: yes\n",
        "<cpu0Id>AAAA</cpu0Id>",
        "> ",
        "\0",
        "é",
    ]
)
contents = st.one_of(
    st.binary(max_size=60), st.lists(pieces, max_size=8).map("".join).map(str.encode)
)


@settings(deadline=None)  # files are written, and the disk takes its time
@given(st.dictionaries(names, contents, max_size=4), st.sampled_from([1, 3, 5]))
def test_any_files_give_an_answer_or_an_error_in_words(tmp_path_factory, files, number):
    root = tmp_path_factory.mktemp("x") / "vm1"
    host = ExchangeHost(ExchangeAddress(str(root)), LAUNCH)
    folders = {1: "1-platform-from-host", 3: "3-measurement-from-host", 5: "5-running-from-host"}
    (root / folders[number]).mkdir(parents=True)
    for name, content in files.items():
        (root / folders[number] / name).write_bytes(content)

    async def main():
        calls = (host.platform, host.state, host.measurement, host.vcpu_count, host.resume)
        return [await error_of(call()) for call in calls] + [
            await error_of(host.attestation_report(bytes(16)))
        ]

    for error in asyncio.run(main()):
        assert error is None or (error.message + error.remedy).isprintable()


async def error_of(coroutine):
    try:
        await coroutine
    except WatchwordError as error:
        return error
    return None
