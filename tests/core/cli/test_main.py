# SPDX-License-Identifier: Apache-2.0
"""The entry point: help, usage errors, exit statuses, what a process gives up and imports."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys

import pytest

from watchword.core.cli import main as command_line
from watchword.core.cli.command import Parser
from watchword.core.errors import ExitStatus, VaultError

from .support import finish, start


def leaves(parser, words=()):
    """The commands below a parser, as they are typed."""
    groups = [action.choices for action in parser._actions if isinstance(action.choices, dict)]
    if not groups:
        return [words]
    return [leaf for word, below in groups[0].items() for leaf in leaves(below, (*words, word))]


COMMANDS = [
    leaf for word in command_line.COMMANDS for leaf in leaves(command_line.build_parser([word]))
]


def test_the_commands_of_the_interface_are_there():
    assert {
        ("platform", "verify"),
        ("platform", "export"),
        ("session", "create"),
        ("digest",),
        ("measurement", "compute"),
        ("measurement", "verify"),
        ("secret", "seal"),
        ("attest",),
        ("report", "verify"),
        ("firmware", "inspect"),
        ("simulate",),
        ("rehearse",),
    } <= set(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_and_takes_json(command, words):
    shown = command(*words, "--help")
    assert (shown.status, shown.err) == (0, "")
    assert "--json" in shown.out
    assert f"example:\n  watchword {' '.join(words)}" in shown.out


def test_the_example_of_each_command_can_be_parsed(command):
    for words in COMMANDS:
        example = command(*words, "--help").out.rpartition("example:\n  watchword ")[2]
        typed = shlex.split(re.split(r" [|>] ", example)[0])
        assert command_line.build_parser(typed).parse_args(typed).run


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_without_a_command_the_help_lists_all(command, words):
    shown = command(*words)
    assert (shown.status, shown.err) == (0, "")
    for first, *_ in COMMANDS:
        assert f"\n    {first}" in shown.out


def test_the_summaries_in_the_list_are_the_commands_own():
    for word, summary in command_line.COMMANDS.items():
        parser = command_line.build_parser([word])
        [subparsers] = [action for action in parser._actions if hasattr(action, "_choices_actions")]
        [own] = subparsers._choices_actions
        assert (own.dest, own.help) == (word, summary)


def test_the_version_is_printed(command):
    shown = command("--version")
    assert shown.status == 0
    assert shown.out.startswith("watchword ")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("bogus",), "bogus"),
        (("digest", "--bogus"), "--bogus"),
        (("platform",), "COMMAND"),
        (("platform", "bogus"), "bogus"),
        (("platform", "verify"), "FILE"),
        (("attest",), "--host"),
        (("digest", "--firm", "x"), "--firm"),
        (("digest", "--vcpus", "two"), "two"),
        (("digest", "--vcpus", "1_0"), "1_0"),
        (("digest", "--vcpus", "-1"), "-1"),
        (("secret", "seal", "--route", "shim"), "shim"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_usage_errors_are_errors_like_all_others(command, words, problem):
    shown = command(*words, "--json")
    assert shown.status == 2
    assert (shown.code, shown.err) == ("bad-arguments", "")
    assert problem in shown.error["message"]
    assert "--help" in shown.error["remedy"]
    in_text = command(*words)
    assert (in_text.status, in_text.out) == (2, "")
    assert problem in in_text.err


def test_after_two_hyphens_json_is_the_name_of_a_file(command):
    shown = command("platform", "verify", "--", "--json")
    assert (shown.status, shown.out) == (6, "")
    assert "--json can't be read" in shown.err


@pytest.fixture
def fails_with(monkeypatch, command):
    """The outcome of a command that ends with an exception."""

    def run(problem, *words):
        def fail(arguments, console):
            raise problem

        def build_parser(words):
            parser = Parser(prog="watchword")
            parser.add_argument("--json", action="store_true")
            parser.set_defaults(run=fail)
            return parser

        monkeypatch.setattr(command_line, "build_parser", build_parser)
        return command(*words)

    return run


def test_a_fault_of_ours_shows_neither_class_names_nor_data(fails_with):
    for words in ((), ("--json",)):
        shown = fails_with(KeyError("hunter2"), *words)
        assert shown.status == 1
        for word in ("hunter2", "KeyError", "Traceback"):
            assert word not in shown.out + shown.err
    assert shown.code == "unexpected"
    assert "test_main.py" in shown.error["details"]["where"]


def test_an_interruption_ends_with_130(fails_with):
    assert fails_with(KeyboardInterrupt()).status == 130
    shown = fails_with(KeyboardInterrupt(), "--json")
    assert (shown.status, shown.code) == (130, "interrupted")


def test_an_errors_own_status_is_the_processs(fails_with):
    shown = fails_with(VaultError("no-keyring", "No keyring", "None.", "Start one."), "--json")
    assert (shown.status, shown.code) == (5, "no-keyring")


def test_the_exit_statuses_are_those_of_the_interface():
    assert {status.name: int(status) for status in ExitStatus} == {
        "OK": 0,
        "UNEXPECTED": 1,
        "USAGE": 2,
        "REFUSED": 3,
        "HOST": 4,
        "VAULT": 5,
        "BAD_INPUT": 6,
        "BATCH_PARTLY_FAILED": 7,
        "WAIVED": 8,
        "WAITING": 9,
        "INTERRUPTED": 130,
    }


SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_interrupt_and_their_handlers_are_put_back(monkeypatch, command, number):
    monkeypatch.setattr(command_line, "_run", lambda *_, **__: signal.raise_signal(number))
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt):
            command()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_signals_that_the_caller_ignores_stay_ignored(monkeypatch, command):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        monkeypatch.setattr(
            command_line, "_run", lambda *_, **__: signal.raise_signal(signal.SIGINT) or 0
        )
        assert command().status == 0
        # In the background of a shell SIGINT is ignored; SIGTERM still ends the command.
        monkeypatch.setattr(
            command_line, "_run", lambda *_, **__: signal.raise_signal(signal.SIGTERM)
        )
        with pytest.raises(KeyboardInterrupt):
            command()
    finally:
        signal.signal(signal.SIGINT, before)


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=30)
    return json.loads(done.stdout.splitlines()[-1])


def test_the_process_gives_up_core_dumps_tracing_and_open_files():
    facts = run_python(
        "import ctypes, json, os, resource\n"
        "from watchword.core.cli.main import main\n"
        "main(['--version'])\n"
        "print(json.dumps([os.umask(0), resource.getrlimit(resource.RLIMIT_CORE),"
        " ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)]))"
    )
    assert facts == [0o077, [0, 0], 0]


@pytest.mark.parametrize(
    ("words", "needless"),
    [
        (["--help"], {"watchword.core.sev", "cryptography", "asyncio"}),
        (["digest", "--help"], {"cryptography", "asyncio", "traceback"}),
        (
            ["measurement", "verify", "--help"],
            {
                "cryptography.hazmat.primitives.asymmetric",
                "cryptography.hazmat.primitives.ciphers",
                "asyncio",
                "watchword.core.hosts",
            },
        ),
        (["platform", "verify", "--help"], {"asyncio", "watchword.core.hosts"}),
        (["session", "create", "--help"], {"asyncio", "watchword.core.hosts"}),
        (["attest", "--help"], {"watchword.core.simulator"}),
    ],
    ids=lambda value: " ".join(value[:-1]) if isinstance(value, list) else None,
)
def test_plain_commands_import_only_what_they_need(words, needless):
    loaded = set(
        run_python(
            "import json, sys\n"
            "from watchword.core.cli.main import main\n"
            f"main({words!r})\n"
            "print(json.dumps(sorted(sys.modules)))"
        )
    )
    always = {"importlib.metadata", "email", "cryptography.x509", "PySide6"}
    assert "watchword.core.cli.main" in loaded
    assert not (needless | always) & loaded


def test_the_module_is_the_command_line():
    shown = finish(start("digest", "--json"))
    assert (shown.status, shown.code, shown.err) == (2, "no-firmware", "")


@pytest.mark.parametrize(
    ("words", "help_of"),
    [
        (("vault", "init", "--new-passphrase-file", "x"), "watchword vault init"),
        (("vault", "--new", "init"), "watchword vault"),
        (("--new", "vault", "init"), "watchword"),
        (("digest", "here"), "watchword digest"),
    ],
)
def test_an_argument_that_is_unknown_leads_to_the_help_of_its_command(command, words, help_of):
    shown = command(*words)
    assert (shown.status, shown.out) == (2, "")
    assert f"See `{help_of} --help`." in shown.err
