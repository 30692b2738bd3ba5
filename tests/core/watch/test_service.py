# SPDX-License-Identifier: Apache-2.0
"""The service around a watch: when it is ready, how it takes new settings, and how it ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from watchword.core.errors import BadInput, HostError
from watchword.core.watch.events import Asked, BlobAnswer
from watchword.core.watch.metrics import WatchMetrics
from watchword.core.watch.notify import ServiceManager
from watchword.core.watch.platforms import Platform, WithPlatforms
from watchword.core.watch.rules import WatchRules
from watchword.core.watch.service import WatchService, _kept_a_second
from watchword.core.watch.settings_check import WatchedLibvirt, WatchSettings
from watchword.core.watch.sources import sources_of

from .service_support import short_folder, until


class Manager(ServiceManager):
    """Keeps what systemd would be told."""

    def __init__(self):
        super().__init__("/nowhere", 0.02)
        self.told = []

    def _tell(self, *lines):
        self.told.append("\n".join(lines))
        return True

    def said(self, word):
        return [one for one in self.told if one.startswith(word)]


class PlayedWatch:
    """A watch that does nothing until it is told to stop."""

    def __init__(self):
        self.rules, self.failure, self.ended = [], None, False

    async def run(self, sources, stop):
        try:
            if self.failure is not None:
                raise self.failure
            self.observe({"event": "started", "guests": []})
            await stop.wait()
        finally:
            self.ended = True

    def reload(self, rules):
        self.rules.append(rules)


def settings(**values):
    return WatchSettings(rules=WatchRules(guests={}), **values)


class Stage:
    def __init__(self, begun_with=None, load=None):
        self.events, self.manager, self.watch = [], Manager(), PlayedWatch()
        first = begun_with or settings()
        self.service = WatchService(
            first, load or (lambda: first), WatchMetrics(), self.manager, self.events.append
        )
        self.watch.observe = self.service.observe

    def play(self, scenario=None):
        async def run():
            task = asyncio.create_task(self.service.run(self.watch, ()))
            if scenario is not None:
                await until(lambda: self.manager.said("READY=1") or task.done())
                await scenario()
                self.service.stop()
            await task

        asyncio.run(asyncio.wait_for(run(), 60))
        return self

    @property
    def kinds(self):
        return [event["event"] for event in self.events]


def test_it_is_ready_once_started_and_says_that_it_stops():
    stage = Stage()

    async def scenario():
        await until(lambda: stage.manager.said("WATCHDOG=1"))

    stage.play(scenario)
    assert len(stage.manager.said("READY=1")) == 1
    assert stage.manager.told[-1].startswith("STOPPING=1")
    assert stage.watch.ended


def test_with_a_socket_it_is_ready_when_that_listens():
    stage = Stage(settings(socket=Path("/run/x")))
    stage.service.observe({"event": "started", "guests": []})
    assert not stage.manager.said("READY=1")
    stage.service.observe({"event": "source-failed", "source": "socket /run/x", "message": "taken"})
    assert stage.manager.said("STATUS=socket /run/x: taken")
    stage.service.observe({"event": "listening", "source": "socket /run/x"})
    assert len(stage.manager.said("READY=1")) == 1


@pytest.mark.parametrize("sound", [True, False])
def test_settings_that_are_read_anew_make_nobody_believe_that_it_listens(sound):
    first = settings(socket=Path("/run/x"))

    def load():
        if sound:
            return first
        raise BadInput("watch-file-not-toml", "watch.toml", "It is not TOML.", "Mend it.")

    stage = Stage(first, load)

    async def scenario():
        task = asyncio.create_task(stage.service.run(stage.watch, ()))
        stage.service.reload()
        await until(lambda: stage.watch.rules or "reload-refused" in stage.kinds)
        await asyncio.sleep(0)
        early = list(stage.manager.said("RE"))
        stage.service.observe({"event": "listening", "source": "socket /run/x"})
        stage.service.stop()
        await task
        return early

    assert asyncio.run(asyncio.wait_for(scenario(), 60)) == []
    assert len(stage.manager.said("READY=1")) == 1


def test_new_settings_count_and_systemd_hears_of_both_ends():
    new = settings(platforms=(Platform("qmp+unix:///x", ()),))
    stage = Stage(load=lambda: new)

    async def scenario():
        stage.service.reload()
        await until(lambda: stage.watch.rules)

    stage.play(scenario)
    assert stage.watch.rules == [new.rules]
    assert stage.service.settings is new
    order = [one.partition("=")[0] for one in stage.manager.told]
    words = [one for one in order if one in ("READY", "RELOADING", "STOPPING")]
    assert words == ["READY", "RELOADING", "READY", "STOPPING"]
    assert "restart-needed" not in stage.kinds


def test_new_settings_that_are_wrong_change_nothing():
    def load():
        raise BadInput("watch-file-not-toml", "watch.toml", "It is not TOML.", "Mend it.")

    stage = Stage(load=load)
    before = stage.service.settings

    async def scenario():
        stage.service.reload()
        await until(lambda: "reload-refused" in stage.kinds)

    stage.play(scenario)
    assert stage.watch.rules == []
    assert stage.service.settings is before
    assert len(stage.manager.said("READY=1")) == 2


@pytest.mark.parametrize("change", [{"folder": Path("/x")}, {"metrics": Path("/y")}, {"group": 1}])
def test_what_a_reload_does_not_change_is_said(change):
    stage = Stage(load=lambda: replace(settings(), **change))

    async def scenario():
        stage.service.reload()
        await until(lambda: stage.watch.rules)

    assert "restart-needed" in stage.play(scenario).kinds


def test_a_fault_while_reloading_does_not_go_unnoticed():
    def load():
        raise ZeroDivisionError

    stage = Stage(load=load)

    async def scenario():
        stage.service.reload()
        await until(lambda: stage.watch.ended)

    with pytest.raises(ZeroDivisionError):
        stage.play(scenario)


def test_what_ends_the_watch_ends_the_service():
    stage = Stage()
    stage.watch.failure = HostError("x", "X", "X.", "X.")
    with pytest.raises(HostError):
        stage.play()
    assert not stage.manager.said("READY=1")


def test_metrics_that_cannot_be_told_keep_it_from_starting():
    with short_folder() as folder:
        stage = Stage(settings(metrics=folder / "none" / "m.sock"))
        with pytest.raises(BadInput) as caught:
            stage.play()
    assert caught.value.code == "cannot-listen"
    assert not stage.watch.ended


def test_at_loopback_asking_often_costs_little():
    made = []

    def make():
        made.append(b"text")
        return made[-1]

    text = _kept_a_second(make)
    assert {text() for _ in range(1000)} == {b"text"}
    assert len(made) < 50


# -- certificates that the owner has -------------------------------------------------


def asked(**values):
    return Asked(source="folder", request="1", guest="web", **values)


@pytest.mark.parametrize(
    ("event", "given"),
    [
        (asked(host="qmp+unix:///run/a.qmp"), (("rack1", b"1"),)),
        (asked(host="qmp+unix:/run/a.qmp"), (("rack1", b"1"),)),
        (asked(host="qmp+unix:///elsewhere/a.qmp"), ()),
        (asked(host="no url"), ()),
        (asked(), ()),
        (asked(host="qmp+unix:///run/a.qmp", certificates=(("own", b"2"),)), ()),
    ],
)
def test_requests_without_certificates_get_those_of_their_host(event, given):
    taken = []

    class One:
        name = "one"

        async def run(self, take):
            await take(event)

    async def take(one):
        taken.append(one)
        return BlobAnswer

    platforms = [Platform("qmp+unix:///run/*.qmp", (("rack1", b"1"),))]
    source = WithPlatforms(One(), lambda: platforms)
    assert source.name == "one"
    asyncio.run(source.run(take))
    assert [one.known_certificates for one in taken] == [given]
    assert [one.certificates for one in taken] == [event.certificates]


def test_each_place_in_the_settings_is_a_source():
    named = settings(
        folder=Path("/run/in"),
        socket=Path("/run/s"),
        libvirts=(WatchedLibvirt(url="libvirt+qemu:///system", guests=(("*", "web"),)),),
    )
    names = [one.name for one in sources_of(named, tuple, print)]
    assert names == ["folder /run/in", "socket /run/s", "libvirt libvirt+qemu:///system"]
    assert sources_of(settings(), tuple, print) == ()
