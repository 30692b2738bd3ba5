# SPDX-License-Identifier: Apache-2.0
"""Every command of docs/launches.md, run in order as its readers would."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from watchword.core.cli import vault_options
from watchword.core.hosts.exchange_turns import Turn
from watchword.core.vault.key_stretching import Scrypt

from .batch_support import PASSPHRASE, cek_fingerprint
from .launch_support import OperatorThread
from .test_vault_command import Cheap

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "launches.md").read_text(encoding="utf-8")


@pytest.fixture
def read(command, launches, monkeypatch):
    """Runs a command of the page, with its files and sockets in the test's folder."""
    folder, home, known = launches.folder, launches.folder / "home", []
    monkeypatch.setenv("WATCHWORD_HOME", str(home))
    monkeypatch.setenv("WATCHWORD_VAULT_PASSPHRASE", PASSPHRASE.decode())
    monkeypatch.setattr(vault_options, "Scrypt", Cheap(Scrypt, 14, 1))
    monkeypatch.chdir(folder)
    (folder / "OVMF.amdsev.fd").write_bytes(launches.home.firmware.read_bytes())
    (folder / "usb").mkdir()

    def run(line):
        line, _, status = line.partition("    # exit ")
        for one in command("launch", "list", "--json").json["launches"]:
            if one["id"] not in known:
                known.append(one["id"])
        line = re.sub(r"\bID\b", known[-1], line) if known else line
        line = line.replace("HEX", cek_fingerprint(launches.home.keys))
        line = line.replace("qmp+unix:///run", f"qmp+unix://{folder}")
        line = line.replace("exchange:///media", f"exchange://{folder}")
        program, *words = shlex.split(line)
        assert program == "watchword"
        shown = command(*words)
        assert shown.status == int(status or 0), (line, shown.out, shown.err)
        return shown

    return run


def test_every_command_of_the_page_works_in_order(read, launches, keys, firmware, monkeypatch):
    once, prepare, complete, give_up, by_hand = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in once.splitlines():
        read(line)
    for line in prepare.splitlines():
        assert "Nobody has accepted this platform yet" in read(line).out
    with launches.vm(out="vm1-start", socket="vm1.sock") as host:
        for line in complete.splitlines():
            read(line)
        assert len(host.packets) == 1
        assert host.machine.run_state == "paused"
    for line in give_up.splitlines():
        read(line)
    usb = launches.folder / "usb" / "vm1"
    with OperatorThread(keys, usb, firmware) as operator:
        first, *others = by_hand.splitlines()
        read(first)
        answer = operator.do(operator.person.capabilities())
        (launches.folder / "answer.txt").write_text(answer)
        for line in others:
            read(line)
    assert (usb / Turn.START.folder / "godh.b64").is_file()


def test_the_page_names_every_turn():
    assert [turn for turn in Turn if f"| {int(turn)} | `{turn.folder}` |" not in PAGE] == []
