# SPDX-License-Identifier: Apache-2.0
"""``guest draft``: a libvirt domain's XML as a command that keeps a profile, and nothing kept."""

from __future__ import annotations

import shlex

import pytest

from watchword.core.handover.libvirt_domain import new_domain
from watchword.core.hosts import connect

from ..handover.test_start_commands import ORDER

URL = "libvirt+qemu+ssh://me@server1/system?domain=vm1"


class Silent:
    """A host that shows no domain."""

    url = URL

    async def __aenter__(self):
        return self

    async def __aexit__(self, *fault):
        return None


class Showing(Silent):
    """One that shows a domain."""

    def __init__(self, text):
        self._text = text

    async def domain_xml(self):
        return self._text


@pytest.fixture
def host(monkeypatch):
    """Has the command meet this host wherever it connects to."""

    def meet(one):
        async def connected(address, limits=None):
            assert address.url == URL
            return one

        monkeypatch.setattr(connect, "connect_host", connected)

    return meet


def test_the_command_that_it_writes_keeps_the_profile_with_the_owners_own_files(guests, host):
    host(Showing(new_domain(ORDER)))
    found = guests("draft", "vm1", "--host", URL)
    assert found.status == 0
    assert "host's word" in found.out
    assert "kernel on the host" in found.out
    told = guests("draft", "vm1", "--host", URL, "--json").json
    assert told["draft"]["host_files"]["kernel"] == ORDER.kernel
    assert not guests.path().exists()
    words = shlex.split(told["command"])
    assert words[:4] == ["watchword", "guest", "add", "vm1"]
    assert not any(path in words for path in told["draft"]["host_files"].values())
    own = [
        f"--{name}={guests.firmware}" if word.startswith(f"--{name}=YOUR-") else word
        for word in words[2:]
        for name in [word[2:].partition("=")[0]]
    ]
    assert guests(*own).status == 0
    kept = guests.profile()
    assert kept["cmdline"] == [ORDER.cmdline]
    assert (kept["host"], kept["vcpus"], kept["cpu"]) == (URL, 4, ["EPYC-Milan"])


def test_a_host_that_shows_no_domain_says_so(guests, host):
    host(Silent())
    found = guests("draft", "vm1", "--host", URL, "--json")
    assert (found.status, found.code) == (2, "host-shows-no-domain")


@pytest.mark.parametrize("words", [("guest", "draft", "vm1"), ("platform", "guests")])
@pytest.mark.parametrize("url", ["qmp+unix:///nowhere/vm1.sock", "exchange:///nowhere/vm1"])
def test_what_only_libvirt_knows_is_asked_of_nobody_else(command, words, url):
    found = command(*words, "--host", url, "--json")
    assert found.status == 2
    assert found.code in ("host-shows-no-domain", "host-lists-no-guests")


def test_a_command_line_can_not_break_out_of_the_command(guests, host):
    evil = "x'; rm -rf / #$(id)"
    host(Showing(new_domain(ORDER).replace(ORDER.cmdline, evil)))
    told = guests("draft", "vm1", "--host", URL, "--json").json
    assert f"--cmdline={evil}" in shlex.split(told["command"])


def test_a_name_that_no_profile_can_have_is_refused_before_anybody_is_asked(guests):
    found = guests("draft", "../vm1", "--host", URL, "--json")
    assert (found.status, found.code) == (2, "bad-profile-name")
