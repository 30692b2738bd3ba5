# SPDX-License-Identifier: Apache-2.0
"""Which hosts a watch connects to: patterns that stand for names, and for nothing beyond them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import UsageError, VerificationRefused
from watchword.core.watch.rules import WatchRules

VMS = "qmp+unix:///run/vms/*.qmp"
DOMAINS = "libvirt+qemu+ssh://root@host/system?domain=*"


def allowed(url, *patterns):
    try:
        return WatchRules(guests={}, hosts=patterns).host(url) == url
    except (VerificationRefused, UsageError):
        return False


@pytest.mark.parametrize(
    ("url", "pattern"),
    [
        ("qmp+unix:///run/vms/a.qmp", VMS),
        ("qmp+unix:///run/vms/web-1_x.qmp", VMS),
        ("qmp+unix:///run/vms/a.qmp.qmp", VMS),
        ("libvirt+qemu+ssh://root@host/system?domain=web1", DOMAINS),
        ("qmp+unix:///run/a/b.sock", "qmp+unix:///run/*/*.sock"),
        ("qmp+tcp://127.0.0.1:4444", "qmp+tcp://127.0.0.1:4444"),
    ],
)
def test_what_a_pattern_stands_for(url, pattern):
    assert allowed(url, pattern)


@pytest.mark.parametrize(
    ("url", "pattern"),
    [
        ("qmp+unix:///run/vms/.qmp", VMS),
        ("qmp+unix:///run/vms/a/b.qmp", VMS),
        ("qmp+unix:///run/vms/../secret.qmp", VMS),
        ("qmp+unix:///run/vms/../qmp.sock", "qmp+unix:///run/vms/*/qmp.sock"),
        ("qmp+unix:///run/vms/%2e%2e/qmp.sock", "qmp+unix:///run/vms/*/qmp.sock"),
        ("qmp+unix:///run/vms/./qmp.sock", "qmp+unix:///run/vms/*/qmp.sock"),
        ("qmp+unix:///run/vms/../qmp.sock", "qmp+unix:///run/vms/.*/qmp.sock"),
        ("qmp+ssh://x@host/run/vms/../qmp.sock", "qmp+ssh://x@host/run/vms/*/qmp.sock"),
        ("qmp+unix:///run/vms/a.qmp2", VMS),
        ("qmp+unix:///run/vms2/a.qmp", VMS),
        ("qmp+ssh://x@host/run/vms/a.qmp", VMS),
        ("libvirt+qemu+ssh://evil@host/system?domain=web1", DOMAINS),
        ("libvirt+qemu+ssh://root@host/system?domain=web1&command=x", DOMAINS),
        ("libvirt+qemu+ssh://root@host2/system?domain=web1", DOMAINS),
        ("exchange:///media/usb", "*"),
        ("exchange:///media/usb", "exchange:///media/usb"),
        ("qmp+tcp://127.0.0.1:4445", "qmp+tcp://127.0.0.1:4444"),
        ("qmp+tcp://127.0.0.1:4444", "qmp+tcp://127.0.0.1:*5"),
        ("qmp+unix:///run/x", ""),
        ("qmp+unix:///run/x", "*"),
    ],
)
def test_what_it_does_not_stand_for(url, pattern):
    assert not allowed(url, pattern)


def test_without_patterns_nobody_is_connected_to():
    assert not allowed("qmp+unix:///run/vms/a.qmp")


@settings(deadline=None)
@given(st.text("ab/.*?:@", max_size=12), st.lists(st.sampled_from("ab/.*"), max_size=8))
def test_a_pattern_is_never_more_than_its_stars_filled_with_names(name, pattern):

    text = "qmp+unix:///run/" + "".join(pattern)
    url = f"qmp+unix:///run/{name}"
    words = (re.escape(part) for part in text.split("*"))
    exact = re.compile("[^/?#%@:&= ]+".join(words))
    if allowed(url, text):
        assert exact.fullmatch(url)
