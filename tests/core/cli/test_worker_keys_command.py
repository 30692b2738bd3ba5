# SPDX-License-Identifier: Apache-2.0
"""``watchword worker owner|init|show|enrol`` and ``ledger merge``, as people call them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from watchword.core.workers.enrolment import Workers
from watchword.core.workers.worker_store import WorkerStore

from .ledger_support import fill

PASSPHRASE = b"five words chosen by chance\n"


class Machine:
    """A home with a vault of its own, and the command line there."""

    def __init__(self, folder, command, monkeypatch):
        self.home = folder
        folder.mkdir()
        self.file = folder / "passphrase"
        self.file.write_bytes(PASSPHRASE)
        self._command, self._patch = command, monkeypatch
        made = self("vault", "init", "--open-with", "passphrase")
        assert made.status == 0, made.err

    def __call__(self, *words):
        self._patch.setenv("WATCHWORD_HOME", str(self.home))
        return self._command(*words, "--passphrase-file", self.file)


@pytest.fixture
def machine(tmp_path, command, monkeypatch):
    return lambda name: Machine(tmp_path / name, command, monkeypatch)


def test_the_owner_enrols_a_worker_that_then_is_in_the_fleet(machine, tmp_path):
    owner, rack = machine("owner"), machine("rack")
    assert owner("worker", "owner", "--json").code == "owner-key-missing"
    fingerprint = owner("worker", "owner", "--new", "--json").json["owner"]
    assert owner("worker", "owner", "--json").json["owner"] == fingerprint
    request, enrolment = tmp_path / "rack1.request", tmp_path / "rack1.worker"
    made = rack("worker", "init", "rack1", "--out", request, "--json").json
    shown = rack("worker", "show").out.splitlines()[0]
    assert shown.replace(" ", "") == made["worker"]
    words = ("worker", "enrol", request, "--fingerprint", shown, "--out", enrolment)
    assert owner(*words).status == 0
    (worker,) = Workers.from_files([enrolment], fingerprint, datetime.now(UTC))
    assert (worker.worker, worker.fingerprint) == ("rack1", made["worker"])
    for path in (request, enrolment):
        assert path.stat().st_mode & 0o777 == 0o600
    assert owner(*words, "--json").code == "file-exists"


def test_nothing_is_signed_for_another_fingerprint(machine, tmp_path):
    owner, rack = machine("owner"), machine("rack")
    owner("worker", "owner", "--new")
    request, out = tmp_path / "rack1.request", tmp_path / "rack1.worker"
    rack("worker", "init", "rack1", "--out", request)
    words = ("worker", "enrol", request, "--out", out, "--json")
    outcome = owner(*words, "--fingerprint", "ab" * 32)
    assert (outcome.status, outcome.code) == (3, "another-worker")
    outcome = owner(*words, "--fingerprint", "ab")
    assert (outcome.status, outcome.code) == (2, "bad-fingerprint")
    assert not out.exists()


def test_a_worker_that_begins_takes_back_what_jobs_have_brought(machine, tmp_path):
    """The run that was lent it was killed; its jobs may never come again."""
    rack = machine("rack")
    rack("worker", "init", "rack1", "--out", tmp_path / "one")
    value = tmp_path / "value"
    value.write_bytes(b"a disk's passphrase")
    for entry in ("web/lent", "web/own"):
        words = ("vault", "add", entry, "--kind", "disk-secret", "--from-file", value)
        assert rack(*words).status == 0
    with WorkerStore.open(rack.home) as store:
        store.lend("web/lent", "ab" * 32)
    queue = f"postgresql:///x?host={tmp_path}"  # nobody is there
    outcome = rack("worker", "run", "--queue", queue, "--owner", "ab" * 32)
    assert outcome.status == 4, outcome.err
    listed = rack("vault", "list").out
    assert "web/own" in listed
    assert "web/lent" not in listed


def test_a_machine_becomes_a_worker_once(machine, tmp_path):
    rack = machine("rack")
    assert rack("worker", "show", "--json").code == "worker-key-missing"
    rack("worker", "init", "rack1", "--out", tmp_path / "one")
    outcome = rack("worker", "init", "rack1", "--out", tmp_path / "two", "--json")
    assert (outcome.status, outcome.code) == (5, "worker-key-exists")
    outcome = rack("worker", "init", "Rack 1", "--out", tmp_path / "two", "--json")
    assert (outcome.status, outcome.code) == (2, "bad-worker-name")
    outcome = rack("worker", "show", "--name", "rack1", "--json")
    assert (outcome.status, outcome.code) == (2, "bad-arguments")
    again = rack("worker", "show", "--name", "rack1", "--out", tmp_path / "two", "--json")
    assert again.json["path"] == str(tmp_path / "two")


def test_ledgers_are_merged_and_what_is_missing_is_named(tmp_path, command, monkeypatch):
    paths = {}
    for name in ("rack1", "rack2"):
        home = tmp_path / name
        monkeypatch.setenv("WATCHWORD_HOME", str(home))
        fill(home)
        paths[name] = tmp_path / f"{name}.jsonl", tmp_path / f"{name}-head.json"
        command("ledger", "export", "--out", paths[name][0])
        command("ledger", "head", "--out", paths[name][1])
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path / "owner"))
    heads = [word for name in paths for word in ("--head", paths[name][1])]
    whole = command("ledger", "merge", *(chain for chain, _ in paths.values()), *heads)
    assert (whole.status, whole.err) == (0, "")
    assert "none is known to be missing" in whole.out
    assert "1 known head holds" in whole.out
    part = command("ledger", "merge", paths["rack1"][0], *heads, "--json")
    assert part.status == 9
    assert len(part.json["missing"]) == 1
    out = tmp_path / "merged.json"
    assert command("ledger", "merge", paths["rack1"][0], "--out", out).status == 0
    assert out.exists()
    paths["rack1"][0].write_bytes(paths["rack1"][0].read_bytes()[:-1])
    broken = command("ledger", "merge", paths["rack1"][0], "--json")
    assert (broken.status, broken.code) == (3, "merged-ledger-broken")
    nothing = command("ledger", "merge")
    assert (nothing.status, "nothing to merge" in nothing.out) == (0, True)


def test_the_ledger_of_the_machine_itself_is_merged_too(tmp_path, command, monkeypatch):
    home = tmp_path / "owner"
    monkeypatch.setenv("WATCHWORD_HOME", str(home))
    fill(home)
    merged = command("ledger", "merge", "--json").json
    assert [chain["source"] for chain in merged["chains"]] == ["this machine"]
