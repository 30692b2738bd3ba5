# SPDX-License-Identifier: Apache-2.0
"""A rekey that dies at any point leaves a disk that starts, and the next run finishes the job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from watchword.core.image.image_history import Standing
from watchword.core.image.rekey import POINTS
from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.ledger import Ledger

from .disk_support import BOOT_KEY, ENTRY, RECOVERY, RECOVERY_KEY, ROOT_AT, opens, root_of
from .test_rekey import as_raw, check, inspect, rekey

PROCESS = Path(__file__).with_name("rekey_process.py")
HEADER_POINTS = [point for point in POINTS if "header" in point]
# The blocks are written once to add the new slot, and once to remove the old one.
KILLS = [
    *((1, "raw", point, 1) for point in POINTS if "second" not in point),
    (1, "raw", "key-material-block", 100),
    *((1, "raw", point, 2) for point in ("key-material", "key-file-written")),
    *((2, "raw", point, 1) for point in HEADER_POINTS),
    *((2, "raw", point, 3) for point in HEADER_POINTS if point.endswith("block")),
    (2, "raw", "key-material", 2),
    *((1, "qcow2", point, 1) for point in ("slot-added", "vault-exchanged")),
    (1, "qcow2", "key-material", 2),
]


def run_and_kill(desk, path, point, time):
    words = [sys.executable, str(PROCESS), str(desk.home), str(path), point, str(time)]
    # Its folder with the socket of qemu-nbd can't go with it; paths of sockets are short.
    with tempfile.TemporaryDirectory(prefix="ww-") as folder:
        own = {**os.environ, "TMPDIR": folder}
        return subprocess.run(words, env=own, timeout=60, capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(("version", "form", "point", "time"), KILLS)
def test_a_killed_rekey_leaves_a_disk_that_starts_and_is_finished_by_the_next(
    desk, disk, version, form, point, time
):
    path = disk(version, form)
    ended = run_and_kill(desk, path, point, time)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()

    # What a launch hands over opens the disk, by cryptsetup's word, and so does recovery.
    raw = as_raw(path)
    held = desk.value()
    assert opens(raw, held, ROOT_AT) is not None
    assert opens(raw, RECOVERY_KEY, ROOT_AT) == 1
    # And what the guest finds inside opens it once more.
    assert_the_root_opens_itself(desk, raw, held)

    if point == "old-key-forgotten":
        finished = inspect(desk, path)
        assert finished.history.standing is Standing.CURRENT
    else:
        assert rekey(desk, path).resumed
    raw = as_raw(path)
    new = desk.value()
    assert new != BOOT_KEY
    assert opens(raw, new, ROOT_AT) is not None
    assert opens(raw, BOOT_KEY, ROOT_AT) is None
    assert opens(raw, RECOVERY_KEY, ROOT_AT) == 1
    plain = root_of(raw, new)
    assert (plain.count(new), plain.count(BOOT_KEY)) == (2, 0)
    checked = check(desk, path, recovery=RECOVERY)
    assert checked.refusal is None
    # No slot without an owner is left, and no half-written copy of the header.
    assert len(checked.header.slots) == 2
    assert checked.header.damaged_copy == ""
    assert inspect(desk, path).history.standing is Standing.CURRENT
    with desk.vault() as vault:
        assert {info.name for info in vault.list()} == {ENTRY, RECOVERY}
    with desk.records() as records:
        assert len(list(Ledger(records).entries(kinds=[EntryKind.IMAGE_REKEYED]))) == 1


def assert_the_root_opens_itself(desk, raw, held):
    plain = root_of(raw, held)
    known = {BOOT_KEY, held}
    with desk.vault() as vault:
        for info in vault.list():
            with vault.get(info.name).reveal() as view:
                known.add(bytes(view))
    inside = {key for key in known if key in plain}
    assert sum(plain.count(key) for key in inside) == 2
    assert all(opens(raw, key, ROOT_AT) is not None for key in inside)


def test_every_point_is_passed_in_this_order(desk, disk):
    seen = []
    rekey(desk, disk(2), observe=seen.append)
    assert tuple(dict.fromkeys(seen)) == POINTS
