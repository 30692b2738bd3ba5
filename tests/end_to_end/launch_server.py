# SPDX-License-Identifier: Apache-2.0
"""Takes launches on in processes that can be killed: everything is imported once, then forked.

A line of JSON comes in for each process, and a line goes out once it has ended:

    {"home": DIR, "control": SOCKET, "act": "drive", "kill_at": "packet-stored", "delay": null}
    {"signal": 9, "seconds": 0.2, "result": null}
    {"signal": 0, "seconds": 0.3, "result": {"launch": "…", "state": "running", "error": null}}

``control`` is a unix socket at which the host's operator, who is in the process of the
test, starts VMs and says where they are.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import importlib
import json
import os
import select
import signal
import sys
import time
from pathlib import Path

from watchword.core.amd.advisories import published_advisories
from watchword.core.errors import WatchwordError
from watchword.core.guest.document import read_profile
from watchword.core.hosts.qmp import QmpHost
from watchword.core.hosts.urls import parse_host_url
from watchword.core.launch import record
from watchword.core.launch.desk import LaunchDesk
from watchword.core.launch.fault_points import VARIABLE
from watchword.core.launch.orders import LaunchOrder
from watchword.core.launch.surroundings import Surroundings
from watchword.core.records.database import Records
from watchword.core.sev.certificates import AmdCertificate

from ..core.launch.support import no_host, open_vault

SECONDS = 60.0
"""How long a process may take."""


class Operator:
    """Reaches the person at the host."""

    def __init__(self, path):
        self._path = path

    async def ask(self, question):
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            writer.write(json.dumps(question).encode() + b"\n")
            return json.loads(await reader.readline())
        finally:
            writer.close()
            await writer.wait_closed()


class StartingHost:
    """A QMP host whose VM the operator starts when he is given the blob; as often as he is."""

    def __init__(self, host, operator):
        self._host = host
        self._operator = operator
        self.url = host.url

    def __getattr__(self, name):
        return getattr(self._host, name)

    async def start(self, order):
        await self._operator.ask(
            {
                "godh": base64.b64encode(order.owner_dh_certificate).decode(),
                "blob": base64.b64encode(order.launch_blob).decode(),
                "policy": order.policy,
            }
        )
        await self._host.close()
        self._host = await connect_to(self._operator)


async def connect_to(operator):
    answer = await operator.ask({})
    return await QmpHost.connect(parse_host_url(answer["url"]))


def work(request):
    """Drive the only launch there is, or a new one, to its end; or abandon it."""
    home, operator = Path(request["home"]), Operator(request["control"])

    async def connect(url, launch_id):
        return StartingHost(await connect_to(operator), operator)

    surroundings = Surroundings(
        connect=connect if request["control"] else no_host,
        roots=(),
        advisories=published_advisories(),
    )
    with (
        Records.open(home) as records,
        open_vault(home) as vault,
        LaunchDesk(records, vault, surroundings) as desk,
    ):
        known = desk.list()
        if request["act"] == "abandon":
            desk.abandon(known[0].id, "a test of it")
            return {"launch": known[0].id, "state": desk.show(known[0].id).state, "error": None}
        run = desk.open(known[0].id) if known else desk.new(order(home))
        error = None
        try:
            asyncio.run(run.run(request.get("until")))
        except WatchwordError as problem:
            error = problem.code
        return {"launch": run.id, "state": run.record.state, "error": error}


def order(home):
    profile = read_profile((home / "profile.toml").read_bytes(), "profile")
    root = AmdCertificate.parse((home / "ark.cert").read_bytes(), "ark")
    files = (("export", (home / "chain.cert").read_bytes()),)
    return LaunchOrder(profile=profile, certificate_files=files, trusted_roots=(root,))


def fork(request):
    """Do the work in a process of its own; which signal ended it, when, and what it said."""
    reading, writing = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if not child:
        os.close(reading)
        if request["kill_at"]:
            os.environ[VARIABLE] = request["kill_at"]
        os.write(writing, json.dumps(work(request)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        delay = SECONDS if request["delay"] is None else request["delay"]
        ready, _, _ = select.select([stream], [], [], delay)
        if not ready:
            os.kill(child, signal.SIGKILL)
        said = stream.read()
    _, status = os.waitpid(child, 0)
    return {
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        "seconds": time.monotonic() - began,
        "result": json.loads(said) if said else None,
    }


def warm_up():
    """Load what a process of its own would load when it comes to it."""
    for name in ("securesystemslib.dsse", "securesystemslib.signer"):
        importlib.import_module(name)
    for name in ("evidence.envelope", "evidence.statement", "launch.evidence_of"):
        importlib.import_module(f"watchword.core.{name}")
    record._adapter()
    gc.freeze()


def main():
    warm_up()
    signal.alarm(int(sys.argv[1]))  # whatever happens, nobody is left behind
    for line in sys.stdin:
        print(json.dumps(fork(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
