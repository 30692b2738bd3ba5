# SPDX-License-Identifier: Apache-2.0
"""Marked secrets go through vault, launches, evidence, ledger and batch, and are looked for.

What is looked for: the secrets' values, the passphrase, a generated secret, and whatever
the vault holds at any time (TEK and TIK, the keys that sign and seal). Where: every file
under home and out folders, the vault's own and SQLite's among them, what documents hold
in base64, both streams, logs, errors, what other processes are started with, and what
went over the host's wire.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from watchword.core.cli import vault_options
from watchword.core.errors import WatchwordError
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.key_stretching import Scrypt

from .batch_support import DRIVER, PASSPHRASE, SECRET, Batches
from .launch_support import OperatorThread, waits
from .support import spellings
from .test_vault_command import Cheap

TEST_SECRET = b"canary-of-no-worth-3Hq8sWzRk1"
ATTACKS = (
    ("wrong-firmware", 3),
    ("cloned-launch", 3),
    ("replayed-measurement", 3),
    ("low-api", 3),
    ("error-with-markup", 4),
    ("corrupt-packet-reply", 4),
    ("disconnect-mid-command", 4),
    ("garbage-json", 4),
    ("says-injected-but-not", 0),
)


class Watch:
    """Knows what is secret, gathers what was seen, and looks for the one in the other."""

    def __init__(self, launches, caplog, processes, errors):
        self._launches, self._caplog = launches, caplog
        self._processes, self._errors = processes, errors
        self._secrets = {SECRET, TEST_SECRET, PASSPHRASE}
        self._theirs = {launches.home.passphrase}
        self.seen = []

    def learn(self, *values):
        """Take what the vault holds now, and these, for secret."""
        self._secrets.update(values)
        with self._launches.home.open_vault() as vault:
            for entry in vault.list():
                if not entry.name.endswith("/binding"):  # a digest
                    with vault.get(entry.name).reveal() as view:
                        self._secrets.add(bytes(view))

    def leave_out(self, path):
        """A file that is meant to hold a secret."""
        self._theirs.add(Path(path))

    def saw(self, shown):
        self.seen += [shown.out, shown.err]
        return shown

    def leaks(self):
        """The places where a secret is to be read."""
        self.learn()
        markers = {form for secret in self._secrets for form in _forms(secret)}
        return [
            place
            for place, content in self._places()
            if any(marker in content for marker in markers)
        ]

    def _places(self):
        for number, text in enumerate(self.seen):
            yield f"seen {number}", text if isinstance(text, bytes) else text.encode()
        yield "log", self._caplog.text.encode()
        for words in self._processes:
            yield "process", words.encode()
        for error in self._errors:
            told = (repr(error), str(error), error.args, dict(error.details), error.as_json())
            yield f"error {error.code}", repr(told).encode()
        for folder in (self._launches.home.path, self._launches.folder):
            for path in folder.rglob("*"):
                if path.is_file() and path not in self._theirs:
                    content = path.read_bytes()
                    yield str(path), content
                    for inner in _documents(content):
                        yield f"{path}, decoded", inner


def _forms(secret):
    assert len(secret) >= 16
    forms = spellings(secret)
    return forms | {form.translate(bytes.maketrans(b"+/", b"-_")) for form in forms}


def _documents(content):
    """What a signed document, or a database with such, holds in base64."""
    for part in content.split(b'"payload":"')[1:]:
        with contextlib.suppress(ValueError):
            yield base64.b64decode(part.split(b'"')[0])


@pytest.fixture
def processes(monkeypatch):
    """What any process is started with from here: words and environment."""
    started, genuine = [], subprocess.Popen.__init__

    def start(self, *arguments, **options):
        started.append(repr((arguments, options.get("env"))))
        genuine(self, *arguments, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", start)
    return started


@pytest.fixture
def errors(monkeypatch):
    """Every error that is made."""
    made, genuine = [], WatchwordError.__init__

    def make(self, *arguments, **options):
        genuine(self, *arguments, **options)
        made.append(self)

    monkeypatch.setattr(WatchwordError, "__init__", make)
    return made


@pytest.fixture
def watch(launches, caplog, processes, errors):
    caplog.set_level(logging.DEBUG)
    with launches.home.open_vault() as vault:
        vault.add("web/trial", EntryKind.TEST_SECRET, Secret(TEST_SECRET))
    return Watch(launches, caplog, processes, errors)


@pytest.fixture
def run(command, launches, watch):
    """Runs a command that may open the vault, in words and in JSON alike."""

    def run(*words, vault=True, keep=True):
        opening = ("--passphrase-file", launches.home.passphrase) if vault else ()
        shown = command(*words, *opening)
        watch.learn()
        return watch.saw(shown) if keep else shown

    return run


# -- the watch itself -----------------------------------------------------------------


def test_the_watch_finds_a_leak_wherever_it_is(launches, watch, run, processes, caplog):
    launch = launches.prepare()
    watch.learn()
    assert watch.leaks() == []
    with launches.home.open_vault() as vault, vault.get(f"launch/{launch}/tik").reveal() as view:
        tik = bytes(view)
    leak = launches.home.path / "leak"
    for secret in (SECRET, PASSPHRASE, tik):
        for form in (
            secret,
            secret.hex().upper().encode(),
            base64.b64encode(b"x" + secret),
            secret.decode("latin-1").encode("utf-16-le"),
            json.dumps({"payload": base64.b64encode(b"{" + secret).decode()})
            .replace(" ", "")
            .encode(),
        ):
            leak.write_bytes(b"before" + form + b"after")
            assert any("leak" in place for place in watch.leaks()), (secret, form)
    leak.unlink()
    assert watch.leaks() == []
    with launches.home.path.joinpath("records.sqlite3-wal").open("ab") as wal:
        wal.write(tik)
    assert any("wal" in place for place in watch.leaks())
    launches.home.path.joinpath("records.sqlite3-wal").unlink()
    subprocess.run(["true", SECRET.hex()], check=True)
    assert watch.leaks() == ["process"]
    processes.clear()
    logging.getLogger("watchword").warning("%s", SECRET)
    assert watch.leaks() == ["log"]
    caplog.clear()
    with contextlib.suppress(WatchwordError):
        raise WatchwordError("x", "x", "x", "x", {"key": base64.b64encode(tik).decode()})
    assert watch.leaks() == ["error x"]


# -- the flows ------------------------------------------------------------------------


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_the_vault_leaks_nothing(run, watch, launches, tmp_path, monkeypatch, form):
    monkeypatch.setattr(vault_options, "Scrypt", Cheap(Scrypt, 14, 1))
    source = tmp_path / "source"
    source.write_bytes(SECRET + b"\n")
    watch.leave_out(source)
    assert run("vault", "add", "a/disk", "--from-file", source, *form).status == 0
    assert run("vault", "add", "a/disk", "--from-file", source, *form).status == 5
    assert run("vault", "generate", "a/new", *form).status == 0
    shown = run("vault", "show", "a/new", "--reveal", keep=False)
    assert len(shown.out) == 44
    watch.learn(shown.out.encode())
    assert run("vault", "show", "a/new", *form).status == 2
    assert run("vault", "list", *form).status == 0
    assert run("vault", "status", *form).status == 0
    new = ("--new-passphrase-file", launches.home.passphrase)
    assert run("vault", "rotate", *new, *form).status == 0
    assert run("vault", "remove", "a/disk", *form).status == 0
    assert watch.leaks() == []


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_a_whole_launch_and_what_is_exported_of_it_leak_nothing(run, watch, launches, form):
    out = launches.folder
    assert run("guest", "check", "web", *form).status == 0
    assert run("guest", "export", "web", "--out", out / "web.toml", *form, vault=False).status == 0
    assert run("launch", *launches.order(*form)).status == 0
    launch = launches("list").json["launches"][0]["id"]
    with launches.vm() as host:
        assert run("launch", "complete", launch, "--no-inject", *form).status == 0
        assert run("launch", "complete", launch, *form).status == 0
        assert host.machine.memory.holds(SECRET)
        for verb in ("complete", "status", "stop", "show", "resume"):
            assert run("launch", verb, launch, *form).status == 0
        watch.seen.append(bytes(host.host.view.data))
    for name, words in (
        ("e.json", ()),
        ("e.html", ("--html",)),
        ("e.red.json", ("--redact",)),
        ("e.red.html", ("--redact", "--html")),
    ):
        made = run("evidence", "export", launch, "--out", out / name, *words, *form)
        assert made.status == 0, made.err
    for words in (
        ("evidence", "verify", out / "e.json", "--accept-unknown-signer"),
        ("evidence", "list"),
        ("ledger", "list"),
        ("ledger", "export", "--out", out / "ledger.jsonl"),
        ("ledger", "head", "--out", out / "head"),
        ("launch", "list"),
    ):
        assert run(*words, *form, vault=False).status == 0
    assert run("ledger", "verify", *form).status == 0
    assert watch.leaks() == []


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize(("attack", "status"), ATTACKS, ids=str)
def test_hosts_that_lie_bring_nothing_to_light(run, watch, launches, attack, status, form):
    assert run("launch", *launches.order(*form)).status == 0
    launch = launches("list").json["launches"][0]["id"]
    with launches.vm(attack) as host:
        for _ in range(2):
            assert run("launch", "complete", launch, *form).status == status
        watch.seen.append(bytes(host.host.view.data))
    run("launch", "abandon", launch, "--reason", "a host that lies", *form)
    run("evidence", "export", launch, "--out", launches.folder / "refused.json", *form)
    assert watch.leaks() == []


def test_a_launch_that_is_given_up_leaves_nothing(run, watch, launches):
    launch = launches.prepare()
    watch.learn()
    assert run("launch", "abandon", launch, "--reason", "a trial").status == 0
    assert watch.leaks() == []


def test_a_launch_by_hand_leaks_nothing(run, watch, launches, keys, firmware):
    (launches.folder / "usb").mkdir()
    url = f"exchange://{launches.folder}/usb"
    mail = launches.folder / "mail.txt"
    with OperatorThread(keys, launches.folder / "usb", firmware) as operator:
        waits(run("launch", "prepare", "web", "--host", url, "--cek", launches.chain, "--json"), 1)
        launch = launches("list").json["launches"][0]["id"]
        operator.put("1", operator.do(operator.person.capabilities()))
        waits(run("launch", "resume", launch, "--json"), 3)
        operator.start_vm()
        mail.write_text(operator.do(operator.person.launch_info()))
        waits(run("launch", "resume", launch, "--paste", mail, "--json"), 5)
        for turn in ("1", "2", "4"):
            assert run("launch", "show", launch, "--turn", turn).status == 0
        operator.do(operator.person.send("4", "inject.qmp"))
        operator.put("5", operator.do(operator.person.send("4", "run.qmp")))
        assert run("launch", "resume", launch).status == 0
        assert operator.has_the_secret
    assert watch.leaks() == []


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_exported_keys_are_in_their_files_alone(run, watch, launches, form):
    keys = launches.folder / "keys"
    made = run(
        *("session", "create", launches.chain, "--policy", "default", "--name", "vm"),
        *("--out", launches.folder / "host", "--export-keys", keys, *form),
        vault=False,
    )
    assert made.status == 0, made.err
    for name in ("tek", "tik"):
        watch.learn((keys / f"vm_{name}.bin").read_bytes())
        watch.leave_out(keys / f"vm_{name}.bin")
    converted = run(
        *("convert", "--to", "sev-tool", "--out", keys / "other", *form),
        *(f"tek={keys / 'vm_tek.bin'}", f"tik={keys / 'vm_tik.bin'}"),
        *(f"session={launches.folder / 'host' / 'vm_session.b64'}",),
        vault=False,
    )
    assert converted.status == 0, converted.out + converted.err
    watch.leave_out(keys / "other" / "tmp_tk.bin")
    assert launches.ledger().count("keys-exported") == 2
    assert watch.leaks() == []


def test_a_batch_and_what_it_starts_learn_nothing(run, watch, launches, command, monkeypatch):
    batches = Batches(command, launches.folder, launches.home)
    monkeypatch.setenv("WATCHWORD_VAULT_PASSPHRASE", PASSPHRASE.decode())
    text = batches.manifest("a", more='start = ["/bin/sh", "-c", "env; exit 1", "{godh}"]\n')
    assert watch.saw(batches(text, "--allow-start")).status == 7
    text = batches.manifest("b")
    assert watch.saw(batches(text, "--phase", "prepare")).status == 0
    watch.learn()
    with batches.vm("b", None) as host:
        assert watch.saw(batches(text, "--phase", "complete")).status == 0
        assert host.machine.memory.holds(SECRET)
        watch.seen.append(bytes(host.host.view.data))
    assert watch.leaks() == []


def test_a_real_process_with_every_warning_on_leaks_nothing(watch, launches, platform):
    launch = launches.prepare()
    watch.learn()
    driver = launches.folder / "driver.py"
    driver.write_text(DRIVER)
    words = [str(word) for word in launches.words("complete", launch)]
    environment = {
        **os.environ,
        "WATCHWORD_HOME": str(launches.home.path),
        "PYTHONASYNCIODEBUG": "1",
        "PYTHONDEVMODE": "1",
        "PYTHONWARNINGS": "default",
    }
    for attack, status in (("silence", 130), (None, 0)):
        with launches.vm(attack) as host:
            process = subprocess.Popen(
                [sys.executable, str(driver), str(platform), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
            )
            line = b""
            while b"3/7" not in line and process.poll() is None:
                line = process.stdout.readline()
            for name in ("cmdline", "environ"):
                with contextlib.suppress(OSError):
                    watch.seen.append(Path(f"/proc/{process.pid}/{name}").read_bytes())
            if attack is not None:
                process.terminate()
            out, err = process.communicate(timeout=60)
            assert process.returncode == status, out + err
            watch.seen += [out, err, bytes(host.host.view.data)]
    assert watch.leaks() == []
