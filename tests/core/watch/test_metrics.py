# SPDX-License-Identifier: Apache-2.0
"""What Prometheus is told: counted right, in its format, and without strangers' words."""

from __future__ import annotations

import itertools
import json
import subprocess

import pytest

from watchword.core.watch.metrics import GAUGES, WatchMetrics
from watchword.core.watch.prometheus_text import OTHER, Family, Histogram, exposition

# Prometheus' own library, from Debian.
PARSER = """\
import json, sys
from prometheus_client.parser import text_string_to_metric_families as parse
print(json.dumps([
    [f.name, f.type, [[s.name, s.labels, s.value] for s in f.samples]]
    for f in parse(sys.stdin.buffer.read().decode())
]))
"""


def samples(text):
    """Value by name and labels, from the format's lines; for texts without odd labels."""
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture
def metrics():
    seconds = itertools.count(step=0.4)
    made = WatchMetrics(clock=lambda: next(seconds), wall=lambda: 1.7e9)
    made.observe({"event": "started", "guests": ["web", "db"]})
    return made


def tell_all(metrics):
    for event in (
        {"event": "asked", "source": "folder", "request": "1", "guest": "web"},
        {"event": "answered", "source": "folder", "request": "1", "guest": "web", "launch": "a",
         "again": False},
        {"event": "answered", "source": "folder", "request": "1", "guest": "web", "launch": "a",
         "again": True},
        {"event": "paused", "source": "socket", "host": "qmp+unix:///x"},
        {"event": "matched", "host": "qmp+unix:///x", "launch": "a", "by": "godh"},
        {"event": "step", "launch": "a", "guest": "web", "step": "measure", "state": "done"},
        {"event": "launched", "launch": "a", "guest": "web", "state": "running"},
        {"event": "refused", "about": "asked", "source": "folder", "code": "too-many-instances",
         "title": "…", "guest": "web", "launch": None, "host": None, "recorded": True},
        {"event": "refused", "about": "paused", "source": "socket", "code": "unknown-vm",
         "title": "…", "guest": None, "launch": None, "host": "x", "recorded": False},
        {"event": "waiting", "launch": "b", "code": "first-firmware", "title": "…"},
        {"event": "gone", "launch": "a", "host": "x"},
        {"event": "expired", "launch": "c"},
        {"event": "source-failed", "source": "folder /x", "code": "bad-folder", "message": "…"},
    ):  # fmt: skip
        metrics.observe(event)


def test_events_are_counted_by_guest_and_outcome(metrics):
    tell_all(metrics)
    metrics.reload_refused()
    metrics.observe({"event": "reloaded", "guests": ["web"]})
    found = samples(metrics.text())
    name = "watchword_watch_"
    assert found[name + 'requests_total{guest="web"}'] == 1
    assert found[name + 'blobs_total{guest="web",again="no"}'] == 1
    assert found[name + 'blobs_total{guest="web",again="yes"}'] == 1
    assert found[name + "paused_total"] == 1
    assert found[name + 'launches_total{guest="web"}'] == 1
    refused = 'refusals_total{about="asked",guest="web",code="too-many-instances"}'
    assert found[name + refused] == 1
    assert found[name + 'refusals_total{about="paused",guest="",code="unknown-vm"}'] == 1
    assert found[name + 'waiting_total{code="first-firmware"}'] == 1
    assert (
        found[name + 'ended_total{how="gone"}'] == found[name + 'ended_total{how="expired"}'] == 1
    )
    assert found[name + "source_failures_total"] == 1
    assert found[name + 'reloads_total{outcome="refused"}'] == 1
    assert found[name + 'reloads_total{outcome="done"}'] == 1
    assert found[name + 'last_event_timestamp_seconds{event="launched"}'] == 1.7e9
    assert found[name + "answer_seconds_count"] == found[name + "launch_seconds_count"] == 1
    # The request that was answered again is not timed.
    assert found[name + 'launch_seconds_bucket{le="0.25"}'] == 0
    assert found[name + 'launch_seconds_bucket{le="0.5"}'] == 1
    assert found[name + 'launch_seconds_bucket{le="+Inf"}'] == 1


def test_gauges_are_asked_for_when_somebody_asks(metrics):
    live = {"web": 3.0}
    metrics.look_at(lambda: {"live_instances": live, "outstanding_blobs": {"db": 1}}, lambda: 2)
    found = samples(metrics.text())
    assert found['watchword_watch_live_instances{guest="web"}'] == 3
    assert found['watchword_watch_outstanding_blobs{guest="db"}'] == 1
    assert found["watchword_watch_approvals_waiting"] == 2
    live.clear()
    assert 'watchword_watch_live_instances{guest="web"}' not in samples(metrics.text())
    assert set(GAUGES) == {"live_instances", "outstanding_blobs"}


def test_strangers_words_make_no_series(metrics):
    for number in range(300):
        odd = f'evil{number}"}} 1\nwatchword_watch_launches_total 99'
        metrics.observe({"event": "asked", "source": odd, "request": odd, "guest": odd})
        metrics.observe({"event": odd, "host": odd})
        metrics.observe(
            {"event": "refused", "about": odd, "source": odd, "guest": odd, "host": odd,
             "launch": odd, "code": "guest-not-watched", "title": odd}
        )  # fmt: skip
    text = metrics.text()
    assert b"evil" not in text
    assert samples(text)[f'watchword_watch_requests_total{{guest="{OTHER}"}}'] == 300
    assert len(text) < 20_000


def test_no_host_launch_or_request_is_named(metrics):
    tell_all(metrics)
    text = metrics.text().decode()
    assert "qmp" not in text
    assert '"a"' not in text
    assert "/x" not in text


def test_memory_is_bounded_by_what_never_ends(metrics):
    for number in range(30_000):
        metrics.observe({"event": "matched", "host": "x", "launch": str(number), "by": "godh"})
    assert len(metrics._matched._began) == 10_000
    family = Family("x_total", "counter", "X.", ("label",))
    for number in range(10_000):
        family.add(str(number))
    assert len(list(family.lines())) < 6000
    assert family.get(OTHER) == 5000


def test_prometheus_own_library_reads_the_same(metrics):
    tell_all(metrics)
    odd = Family("odd_total", "counter", "A\\B\nC", ("label",))
    odd.add('a"b\\c\nd — é', by=2.5)
    bars = Histogram("bars_seconds", "Bars.", (0.5, 1, 2))
    for seconds in (0.1, 0.5, 0.7, 5):
        bars.observe(seconds)
    text = metrics.text() + exposition([odd, bars])
    told = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", PARSER],
        input=text,
        capture_output=True,
        timeout=60,
        check=False,
    )
    if b"No module named" in told.stderr:
        pytest.skip("no prometheus_client (Debian package python3-prometheus-client)")
    assert told.returncode == 0, told.stderr
    families = {name: (kind, found) for name, kind, found in json.loads(told.stdout)}
    assert families["odd"] == ("counter", [["odd_total", {"label": 'a"b\\c\nd — é'}, 2.5]])
    kind, found = families["bars_seconds"]
    assert kind == "histogram"
    assert {(name, labels.get("le")): value for name, labels, value in found} == {
        ("bars_seconds_bucket", "0.5"): 2,
        ("bars_seconds_bucket", "1"): 3,
        ("bars_seconds_bucket", "2"): 3,
        ("bars_seconds_bucket", "+Inf"): 4,
        ("bars_seconds_sum", None): 6.3,
        ("bars_seconds_count", None): 4,
    }
    ours = {name: kind for name, (kind, _) in families.items() if name.startswith("watchword")}
    assert set(ours.values()) == {"counter", "gauge", "histogram"}


@pytest.mark.parametrize("name", ["", "A", "a-b", "a b", "a\n"])
def test_only_names_that_prometheus_takes_can_be_given(name):
    with pytest.raises(ValueError, match="no name"):
        Family(name, "counter", "X.")
    with pytest.raises(ValueError, match="no name"):
        Family("a", "counter", "X.", (name,))
