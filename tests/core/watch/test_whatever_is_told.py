# SPDX-License-Identifier: Apache-2.0
"""Whatever is asked, started and announced: one packet for a blob at most, and none unverified."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchword.core.simulator import FirmwareRecipe, PlatformKeys, build_firmware
from watchword.core.watch.events import BlobAnswer, Launched, Paused

from .engine_support import Machine, WatchOffice, asked, gone, holds, paused, run

OTHER_FIRMWARE = build_firmware(FirmwareRecipe(seed="not approved"))
few = st.integers(0, 2)
steps = st.one_of(
    st.tuples(st.just("ask"), few),
    st.tuples(st.just("start"), few, st.booleans()),
    st.tuples(st.just("announce"), few, st.sampled_from(["godh", "id", "nothing"]), few),
    st.tuples(st.just("gone"), few, few),
    st.tuples(st.just("restart")),
)


@pytest.fixture(scope="module")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture
def office(tmp_path, keys):
    return WatchOffice(tmp_path, keys)


class Story:
    """Plays the steps, and keeps what came of them."""

    def __init__(self, office, machine, keys):
        self.office, self.machine, self.keys = office, machine, keys
        self.answers, self.servers, self.launched = [], [], []

    async def play(self, steps):
        left = list(steps)
        while left:
            with self.office.watch() as watch:
                while left:
                    step = left.pop(0)
                    if step[0] == "restart":
                        break
                    await getattr(self, step[0])(watch, *step[1:])
                    self.check()

    async def ask(self, watch, number):
        reply = await watch.take(asked(self.keys, f"r{number}"))
        if isinstance(reply, BlobAnswer) and reply not in self.answers:
            self.answers.append(reply)

    async def start(self, watch, number, approved):
        if number < len(self.answers) and len(self.servers) < 6:
            firmware = None if approved else OTHER_FIRMWARE
            server = await self.machine.operator_starts(self.answers[number], firmware)
            self.servers.append((server, self.answers[number], approved))

    async def announce(self, watch, vm, how, claimed):
        if vm >= len(self.servers):
            return
        server = self.servers[vm][0]
        marks = {}
        if how != "nothing" and claimed < len(self.answers):
            answer = self.answers[claimed]
            known = {"godh": answer.order.owner_dh_certificate}
            marks = known if how == "godh" else {"launch": answer.launch_id}
        reply = await watch.take(paused(server, **marks))
        if isinstance(reply, Launched):
            self.launched.append((reply.launch_id, server))

    async def gone(self, watch, vm, claimed):
        if vm < len(self.servers) and claimed < len(self.answers):
            await watch.take(gone(self.servers[vm][0], launch=self.answers[claimed].launch_id))

    def check(self):
        packets = {packet.packet_sha256 for packet in self.machine.processor.packets}
        assert len(packets) <= len(self.answers)
        assert len(packets) == len({launch_id for launch_id, _ in self.launched})
        for server, answer, approved in self.servers:
            if holds(server):
                assert approved
                assert (answer.launch_id, server) in self.launched
        launched = dict(self.launched)
        assert all(launched[launch_id] is server for launch_id, server in self.launched)
        assert len(self.office.states()) <= self.office.watch_table["instances_at_most"] + len(
            [state for state in self.office.states().values() if state == "refused"]
        ) + len(self.office.entries("watch-vm-gone", "launch-abandoned"))


@given(st.lists(steps, min_size=3, max_size=14))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_packets_never_outnumber_blobs_and_none_goes_out_unverified(keys, story):
    async def scenario():
        with tempfile.TemporaryDirectory() as home:
            office = WatchOffice(Path(home), keys)
            async with Machine(keys) as machine:
                await Story(office, machine, keys).play(
                    [("ask", 0), ("start", 0, True), *story, ("announce", 0, "nothing", 0)]
                )

    run(scenario)


@given(st.text(max_size=200) | st.sampled_from(["qmp+unix:///run/*", "exchange:///x", ""]))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_host_but_those_of_the_settings_is_ever_connected_to(office, url):
    async def nobody(url, launch_id):
        raise AssertionError("nobody may be asked here")

    async def scenario():
        with office.watch(around={"connect": nobody}) as watch:
            return await watch.take(Paused(source="test", host=url))

    reply = run(scenario)
    assert reply.as_json()["answer"] == "refused"
    assert str(reply.error.message).isprintable()
