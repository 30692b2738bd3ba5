# SPDX-License-Identifier: Apache-2.0
"""What the tests of ``launch`` share: commands with a home, a folder for hosts, and VMs."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading

from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.simulator import SimulatedHost, StartOrder, attack_named

from ..hosts.exchange_people import Operator
from .batch_support import SECRET
from .support import HostThread

POLICY = 0x1100002F


class Launches:
    """``watchword launch``: ``launches("list")`` in JSON, ``launches.say("list")`` in words.

    Its VMs listen on ``vm.sock`` in the folder; the platform's chain is a file there.
    """

    def __init__(self, command, folder, home):
        self._command, self.folder, self.home = command, folder, home
        self.chain = folder / "chain.cert"
        self.chain.write_bytes(home.keys.full_chain)
        self.ark = folder / "ark.cert"
        self.ark.write_bytes(home.keys.root.ark)
        self.url = f"qmp+unix://{folder}/vm.sock"

    def words(self, *words):
        """The command line, with what opens the vault where a vault is wanted."""
        opening = ("--passphrase-file", self.home.passphrase)
        return ("launch", *words, *(() if words[0] == "list" else opening))

    def __call__(self, *words):
        return self._command(*self.words(*words), "--json")

    def say(self, *words):
        return self._command(*self.words(*words))

    def order(self, *words, guest="web", out="give", host=None):
        """The words that prepare a launch of a guest from the chain's file."""
        given = () if out is None else ("--out", self.folder / out)
        where = ("--platform", self.chain, "--host", host or self.url)
        return ("prepare", guest, *given, *where, *words)

    def prepare(self, *words, status=0, **named):
        """A prepared launch; its id."""
        made = self(*self.order(*words, **named))
        assert made.status == status, made.out + made.err
        return made.json["launch_id"]

    @contextlib.contextmanager
    def vm(self, attack=None, out="give", socket="vm.sock", **changes):
        """The VM, started paused with the files that were written for it."""
        give = self.folder / out
        order = {
            "firmware": self.home.firmware.read_bytes(),
            "policy": POLICY,
            "dh_cert": (give / "godh.b64").read_bytes(),
            "session": (give / "session.b64").read_bytes(),
            "vcpus": 2,
            **changes,
        }
        lie = attack_named(attack) if attack else None
        with HostThread(self.home.keys, StartOrder(**order), self.folder / socket, lie) as host:
            yield host

    def state(self, launch_id):
        return self("show", launch_id).json["state"]

    def ledger(self, launch_id=None):
        """The kinds of the entries, in a ledger that verifies."""
        with Records.open(self.home.path) as records:
            ledger = Ledger(records)
            ledger.verify()
            return [entry.kind.value for entry in ledger.entries(launch_id=launch_id)]

    def keys(self):
        """The names of launches' keys that are in the vault."""
        with self.home.open_vault() as vault:
            return [entry.name for entry in vault.list() if entry.name.startswith("launch/")]


class OperatorThread:
    """The simulated host and the person who works there, with an event loop of their own."""

    def __init__(self, keys, folder, firmware):
        self._keys, self._folder, self._firmware = keys, folder, firmware
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self.host = SimulatedHost(self._keys)
        self.do(self.host.__aenter__())
        self.person = Operator(self.host, self._folder)
        return self

    def __exit__(self, *problem):
        self.do(self.host.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._loop.close()

    def do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def start_vm(self):
        """With the two files of turn 2, as the operator would."""
        order = StartOrder(
            firmware=self._firmware.read_bytes(),
            policy=POLICY,
            dh_cert=self.person.file("2", "godh.b64").read_bytes(),
            session=self.person.file("2", "session.b64").read_bytes(),
            vcpus=2,
        )
        self.person.machine = self.do(self.host.start_vm(order))

    def put(self, turn, text):
        self.person.file(turn, "qmp.txt").write_text(text)

    @property
    def has_the_secret(self):
        return self.person.machine.machine.memory.holds(SECRET)


def waits(shown, turn):
    """A command has ended because a turn is awaited."""
    assert shown.status == 9, shown.out + shown.err
    assert shown.error["details"]["turn"] == turn


def commands_in(text):
    """The commands that a text gives to be pasted: lines of their own that are indented."""
    return re.findall(r"^  (watchword .*)$", text, re.MULTILINE)
