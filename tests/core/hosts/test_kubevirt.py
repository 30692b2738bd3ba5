# SPDX-License-Identifier: Apache-2.0
"""KubeVirt through a stand-in for virtctl that passes everything on to a simulated host."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from watchword.core.errors import HostError
from watchword.core.hosts.connect import connect_host
from watchword.core.hosts.kubevirt_url import KubevirtAddress
from watchword.core.hosts.limits import DEFAULT_LIMITS
from watchword.core.hosts.protocol import SevState, StartOrder
from watchword.core.launch.sev_guest import let_run
from watchword.core.sev.certificates import EcPublicKey, SevCertificate
from watchword.core.simulator import PlatformKeys, SimulatedHost, build_firmware
from watchword.core.simulator import StartOrder as SimulatedOrder
from watchword.core.simulator.other_owner import make_session
from watchword.core.simulator.virtual_machine import QmpError

from .process_looks import is_gone

ADDRESS = KubevirtAddress("prod", "web-1")

# One question a run, to the test's own socket; prints and ends as it is told.
VIRTCTL = """\
#!{python}
import json, socket, sys, time
connection = socket.socket(socket.AF_UNIX)
connection.connect({path!r})
connection.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
answer = json.loads(connection.makefile().readline())
time.sleep(answer.get("sleep", 0))
sys.stderr.write(answer.get("errors", ""))
sys.stdout.write(answer.get("out", ""))
sys.exit(answer.get("status", 0))
"""


@pytest.fixture(scope="module")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture
def cluster(socket_folder, monkeypatch):
    """``async with cluster(answer)``: virtctl is on PATH, and asks ``answer(words)``."""
    path = str(socket_folder / "cluster.sock")
    program = socket_folder / "virtctl"
    program.write_text(VIRTCTL.format(python=sys.executable, path=path))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{socket_folder}:{os.environ['PATH']}")

    @contextlib.asynccontextmanager
    async def serving(answer):
        asked = []

        async def handle(reader, writer):
            words = json.loads(await reader.readline())
            asked.append(words)
            made = answer(words)
            made = await made if asyncio.iscoroutine(made) else made
            writer.write(json.dumps(made).encode() + b"\n")
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            writer.close()

        server = await asyncio.start_unix_server(handle, path)
        try:
            yield asked
        finally:
            server.close()

    return serving


class Cluster:
    """What the four commands do, on a simulated machine."""

    def __init__(self, host):
        self.host = host
        self.machine = None

    async def __call__(self, words):
        assert words[-2:] == ["--namespace", "prod"]
        options = dict(zip(words[3:-2:2], words[4:-2:2], strict=True))
        if words[0] == "unpause":
            self.machine.resume()
            return {}
        assert words[0] == "sev"
        assert words[2] == "web-1"
        return await getattr(self, words[1].replace("-", "_"))(options)

    async def fetch_cert_chain(self, options):
        keys = self.host.processor.keys
        chain = base64.b64encode(keys.pek_oca_cek).decode()
        return {"out": json.dumps({"pdh": base64.b64encode(keys.pdh).decode(), "certChain": chain})}

    async def setup_session(self, options):
        order = SimulatedOrder(
            firmware=build_firmware(),
            policy=1,
            dh_cert=options["--dhcert"].encode(),
            session=options["--session"].encode(),
        )
        self.machine = (await self.host.start_vm(order)).machine
        return {}

    async def query_measurement(self, options):
        machine = self.machine
        if machine is None:
            return {"status": 1, "errors": "VirtualMachineInstance is not running"}
        if machine.run_state == "running":
            return {"status": 1, "errors": "VirtualMachineInstance is not paused"}
        info = {"apiMajor": 1, "apiMinor": 55, "buildID": 24, "policy": machine.order.policy}
        return {"out": json.dumps({"measurement": machine.measurement, **info})}

    async def inject_secret(self, options):
        try:
            self.machine.inject_secret(options["--header"], options["--secret"], None)
        except QmpError as refused:
            return {"status": 1, "errors": f"Error prod/web-1: {refused.text}"}
        return {}


class Packet:
    """Bytes in the shape of a packet; nobody could have sealed these."""

    header = bytes(52)
    ciphertext = bytes(64)


def own_session(keys):
    """What an owner gives this machine, made by the simulator's other owner."""
    pdh = EcPublicKey.parse(SevCertificate.parse(keys.pdh).public_key_area).load()
    made = make_session(pdh, 1)
    return StartOrder(made.godh, made.session, 1)


def test_the_whole_way_goes_through_virtctls_commands(cluster, keys):
    async def way():
        async with SimulatedHost(keys) as simulated:
            serving = cluster(Cluster(simulated))
            async with serving as asked, await connect_host(ADDRESS) as host:
                platform = await host.platform()
                assert (platform.pdh, platform.cert_chain) == (keys.pdh, keys.pek_oca_cek)
                assert (platform.cpu_id, platform.cbitpos) == (None, None)
                await host.start(own_session(keys))
                state = await host.state()
                assert (state.state, state.paused) == (SevState.LAUNCH_SECRET, True)
                assert (state.api_minor, state.build, state.policy) == (55, 24, 1)
                assert len(await host.measurement()) == 48
                with pytest.raises(HostError) as refused:
                    await host.inject(Packet())
                assert refused.value.details["fw_error"] == 11
                await let_run(host)
            return [words[:2] for words in asked]

    assert asyncio.run(way()) == [
        ["sev", "fetch-cert-chain"],
        ["sev", "query-measurement"],
        ["sev", "setup-session"],
        ["sev", "query-measurement"],
        ["sev", "query-measurement"],
        ["sev", "inject-secret"],
        ["sev", "query-measurement"],
        ["unpause", "vmi"],
    ]


def test_a_vm_that_was_given_its_session_is_not_given_another_one(cluster, keys):
    async def way():
        async with SimulatedHost(keys) as host:
            async with cluster(Cluster(host)) as asked:
                for _ in range(2):  # the second time as a resumed launch does
                    async with await connect_host(ADDRESS) as vm:
                        await vm.start(own_session(keys))
            return [words[1] for words in asked]

    commands = ["query-measurement", "setup-session", "query-measurement"]
    assert asyncio.run(way()) == commands


@pytest.mark.parametrize(
    ("words", "code", "remedy"),
    [
        ("Session already defined", "kubevirt-session-given", "wait until the VM is paused"),
        ("VMI is not in Scheduled phase", "kubevirt-not-waiting", "virtctl start web-1"),
        ("forbidden", "kubevirt-refused", "kubectl auth can-i"),
    ],
)
def test_a_refused_session_says_what_to_do_instead(cluster, keys, words, code, remedy):
    order = own_session(keys)
    error = outcome(cluster, {"status": 1, "errors": words}, lambda host: host.start(order))
    assert error.code == code
    assert remedy in error.remedy


def test_what_virtctl_left_running_is_ended_with_it(cluster, socket_folder):
    program = socket_folder / "virtctl"
    child = socket_folder / "child"
    text = f"sleep 60 >/dev/null 2>&1 & echo $! >{child}; echo refused >&2; exit 1"
    program.write_text(f"#!/bin/sh\n{text}\n")
    assert outcome(cluster, {}, lambda host: host.stop()).code == "kubevirt-refused"
    assert is_gone(int(child.read_text()))


def outcome(cluster, answer, call, limits=DEFAULT_LIMITS):
    """The error of one call, with a cluster that answers so."""

    async def asking():
        serving = cluster(lambda words: answer)
        async with serving, await connect_host(ADDRESS, limits) as host:
            with pytest.raises(HostError) as caught:
                await call(host)
            return caught.value

    return asyncio.run(asking())


@pytest.mark.parametrize(
    "answer",
    [
        {"out": ""},
        {"out": "[]"},
        {"out": '{"measurement": 1}'},
        {"out": "{" * 100},
        {"out": '{"apiMajor": true}'},
        {"out": '{"apiMajor": 1, "apiMinor": 256, "buildID": 1, "policy": 1}'},
        {"out": "x" * 4_000_000},
    ],
)
def test_answers_that_make_no_sense_are_refused(cluster, answer):
    error = outcome(cluster, answer, lambda host: host.state())
    assert error.code == "host-answer-malformed"


def test_a_refusal_is_quoted_without_what_was_sent(cluster):
    answer = {"status": 1, "errors": "Error prod/web-1: \x1b[31mforbidden\n"}
    error = outcome(cluster, answer, lambda host: host.inject(Packet()))
    assert error.code == "kubevirt-refused"
    assert "forbidden" in error.message
    assert "\x1b" not in error.message
    assert "AAAA" not in str(error.as_json())


def test_a_cluster_that_stalls_leaves_open_whether_the_packet_arrived(cluster):
    limits = replace(DEFAULT_LIMITS, inject_seconds=0.2)
    error = outcome(cluster, {"sleep": 20}, lambda host: host.inject(Packet()), limits)
    assert (error.code, error.details["packet_arrived"]) == ("kubevirt-timeout", "unknown")


@pytest.mark.parametrize("name", ["vcpu_count", "attestation_report"])
def test_what_kubevirt_has_no_command_for_is_said(cluster, name):
    arguments = (bytes(16),) if name == "attestation_report" else ()
    error = outcome(cluster, {}, lambda host: getattr(host, name)(*arguments))
    assert error.code == "host-does-not-tell"


def test_without_virtctl_the_other_way_is_named(monkeypatch, tmp_path):
    from watchword.core.hosts import kubevirt

    monkeypatch.setattr(kubevirt, "_SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError) as caught:
        asyncio.run(connect_host(ADDRESS))
    assert caught.value.code == "virtctl-missing"
    assert "exchange:" in caught.value.remedy


def test_a_cancelled_command_leaves_no_process(cluster, socket_folder):
    async def cancelled():
        begun = asyncio.Event()

        def answer(words):
            begun.set()
            return {"sleep": 30}

        async with cluster(answer), await connect_host(ADDRESS) as host:
            task = asyncio.create_task(host.state())
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancelled())
    program = str(socket_folder / "virtctl").encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            assert program not in (folder / "cmdline").read_bytes()
