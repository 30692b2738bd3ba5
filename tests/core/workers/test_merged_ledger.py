# SPDX-License-Identifier: Apache-2.0
"""Many machines' chains: each holds by itself and against known heads; what is missing is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from watchword.core.errors import BadInput, ExitStatus
from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.exported_chain import read_chain
from watchword.core.ledger.heads import ExportedHead, LedgerHead
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.workers.merged_ledger import FORMAT, heads_heard, merge_chains
from watchword.core.workers.signed_result import Sealed, open_result, sign_result

from .support import NOW, Owner, Worker
from .test_signed_results import DONE


class Machine:
    """A machine with a ledger of some entries."""

    def __init__(self, home, entries=3):
        self.home = home
        self.file = home.with_suffix(".jsonl")
        self.grow(entries)

    def grow(self, entries):
        with Records.open(self.home) as records:
            ledger = Ledger(records, lambda: datetime(2026, 11, 23, 14, tzinfo=UTC))
            for number in range(entries):
                ledger.append(EntryKind.PACKET_SEALED, f"web-{number}", {"guest": "web"})
            written = bytearray()
            ledger.export(written.extend)
            self.head = ledger.exported_head()
        self.file.write_bytes(written)
        return self


@pytest.fixture
def machines(tmp_path):
    return [Machine(tmp_path / name) for name in ("rack1", "rack2")]


def files(machines):
    return [machine.file for machine in machines]


def test_whole_chains_with_known_heads_hold(machines):
    merged = merge_chains(files(machines), [machine.head for machine in machines])
    assert merged.status is ExitStatus.OK
    assert [chain.verdict.ledger_id for chain in merged.chains] == [
        machine.head.ledger_id for machine in machines
    ]
    assert [chain.verdict.known_heads for chain in merged.chains] == [1, 1]
    assert [chain.verdict.entries for chain in merged.chains] == [4, 4]


def test_a_chain_that_grew_since_its_head_was_taken_holds(machines):
    head = machines[0].head
    machines[0].grow(5)
    assert merge_chains(files(machines), [head]).status is ExitStatus.OK


def test_a_chain_that_nobody_brought_is_missing(machines):
    merged = merge_chains(files(machines[:1]), [machine.head for machine in machines])
    assert merged.missing == (machines[1].head,)
    assert merged.status is ExitStatus.WAITING


def test_a_chain_cut_off_after_a_known_head_is_told_of(machines):
    lines = machines[0].file.read_bytes().splitlines(keepends=True)
    machines[0].file.write_bytes(b"".join(lines[:-1]))
    assert merge_chains(files(machines), []).status is ExitStatus.OK  # nobody can know
    merged = merge_chains(files(machines), [machines[0].head])
    assert [chain.error and chain.error.code for chain in merged.chains] == ["ledger-cut", None]
    assert merged.status is ExitStatus.REFUSED
    assert merged.missing == ()


def test_a_chain_written_anew_does_not_hold_against_its_head(machines):
    head = machines[0].head
    other = ExportedHead(head.ledger_id, LedgerHead(head.head.sequence, "0" * 64), head.time)
    merged = merge_chains(files(machines), [other])
    assert merged.chains[0].error.code == "ledger-rewritten"


def test_every_flipped_byte_of_a_chain_is_refused(machines):
    path = machines[0].file
    data = bytearray(path.read_bytes())
    for index in range(len(data)):
        data[index] ^= 1
        path.write_bytes(data)
        assert merge_chains([path], []).status is ExitStatus.REFUSED, index
        data[index] ^= 1


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[0], lines[2], lines[1], lines[3]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines, b"\n"],
        lambda lines: [*lines[:-1], lines[-1][:-1]],
        lambda lines: [lines[0], b"x" * 400_000],
    ],
)
def test_lines_removed_moved_repeated_or_cut_are_refused(machines, change):
    path = machines[0].file
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    (chain,) = merge_chains([path], []).chains
    assert chain.error.code == "ledger-broken"


def test_an_entry_written_anew_with_a_good_hash_breaks_the_chain(machines):
    path = machines[0].file
    lines = path.read_bytes().splitlines(keepends=True)
    record = lines[2].partition(b'"record":')[2][:-2].replace(b"web-1", b"web-9")
    lines[2] = b'{"hash":"%s","record":%s}\n' % (sha256(record).hexdigest().encode(), record)
    path.write_bytes(b"".join(lines))
    (chain,) = merge_chains([path], []).chains
    assert (chain.error.code, chain.error.details["sequence"]) == ("ledger-broken", 4)


def test_two_copies_of_one_ledger_must_agree(machines, tmp_path):
    older = tmp_path / "older.jsonl"
    older.write_bytes(machines[0].file.read_bytes())
    machines[0].grow(2)
    assert merge_chains([older, machines[0].file], []).status is ExitStatus.OK
    # A machine that was put back and went on otherwise has two ledgers of one id.
    lines = older.read_bytes().splitlines(keepends=True)
    forked = tmp_path / "forked.jsonl"
    with Records.open(machines[0].home) as records:
        entries = list(Ledger(records).entries())
    entry, record = entries[2].make(
        3,
        entries[1].hash,
        time=entries[2].time,
        kind=entries[2].kind,
        launch_id="other",
        simulated=False,
        body={},
    )
    line = b'{"hash":"%s","record":%s}\n' % (entry.hash.encode(), record)
    forked.write_bytes(b"".join([*lines[:2], line]))
    merged = merge_chains([machines[0].file, forked], [])
    assert merged.chains[0].error.code == "ledger-rewritten"


def test_a_file_that_is_not_there_is_an_error_of_its_own(tmp_path):
    with pytest.raises(BadInput) as caught:
        merge_chains([tmp_path / "none"], [])
    assert caught.value.code == "file-missing"


def test_a_file_of_something_else_does_not_hold(tmp_path):
    path = tmp_path / "other"
    path.write_bytes(b'{"a":1}\n')
    assert merge_chains([path], []).broken[0].error.code == "ledger-broken"


@pytest.mark.parametrize("body", [b"{}", b'{"ledger_id":7}', b'{"ledger_id":"x"}'])
def test_a_chain_that_names_no_ledger_does_not_hold(machines, body):
    path = machines[0].file
    first = path.read_bytes().partition(b"\n")[0]
    record = first.partition(b'"record":')[2][:-1]
    named = b'{"ledger_id":"%s"}' % machines[0].head.ledger_id.encode()
    assert named in record
    record = record.replace(named, body)
    path.write_bytes(b'{"hash":"%s","record":%s}\n' % (sha256(record).hexdigest().encode(), record))
    merged = merge_chains(files(machines), [])
    assert [chain.error and chain.error.code for chain in merged.chains] == ["ledger-broken", None]


def test_the_set_of_chains_and_heads_can_be_kept(machines):
    merged = merge_chains(files(machines[:1]), [machines[1].head])
    kept = json.loads(merged.build())
    assert kept["format"] == FORMAT
    assert kept["missing"] == [machines[1].head.as_json()]
    assert kept["chains"][0]["head"] == machines[0].head.head.as_json()


def test_an_exported_chain_is_read_as_the_ledger_wrote_it(machines):
    with Records.open(machines[0].home) as records:
        written = list(Ledger(records).entries())
    assert list(read_chain(machines[0].file, "it")) == written


def test_heads_under_kept_results_are_known(machines, tmp_path):
    """A worker that cuts its ledger off after it has signed a result is found out."""
    owner, worker = Owner(tmp_path / "owner"), Worker()
    with owner.assignments() as store:
        assignment = owner.assign(store, worker)
        signed = owner.sign(worker, assignment=assignment)
        job = worker.open(signed.package, owner)
        data = sign_result(
            job,
            DONE,
            worker.key,
            sealed=Sealed.SEALED,
            packet=None,
            head=machines[0].head,
            now=NOW,
        )
        workers = owner.workers(worker)
        store.heard(job.job.job, open_result(data, signed.job, signed.digest, workers), data)
        assert heads_heard(store) == (machines[0].head,)
        with store._writing() as connection:
            connection.execute("update turns set result = ?", (data[:-9] + b"x" * 9,))
        assert heads_heard(store) == ()
