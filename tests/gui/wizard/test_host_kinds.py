# SPDX-License-Identifier: Apache-2.0
"""A host's URL from its fields and back: no field becomes another part of the URL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.hosts.urls import parse_host_url
from watchword.gui.wizard.host_kinds import FIELDS, HostKind, fields_of, problem_of, url_of

EXAMPLES = {
    "qmp+unix:///run/vm1.sock": (HostKind.SOCKET, {"path": "/run/vm1.sock"}),
    "./vm1.sock": (HostKind.SOCKET, {"path": "./vm1.sock"}),
    "qmp+ssh://me@host:2222/run/vm1.sock": (
        HostKind.SSH,
        {"host": "host", "user": "me", "port": "2222", "path": "/run/vm1.sock"},
    ),
    "qmp+tls://[2001:db8::1]:4444?dir=/etc/pki%20x&server-name=vm.example": (
        HostKind.TLS,
        {
            "host": "2001:db8::1",
            "port": "4444",
            "certificates": "/etc/pki x",
            "server-name": "vm.example",
        },
    ),
    "localhost:4444": (HostKind.PORT, {"host": "localhost", "port": "4444"}),
    "libvirt+qemu:///system?domain=vm1": (HostKind.LIBVIRT, {"domain": "vm1"}),
    "libvirt+qemu+ssh://me@host/system?domain=a%20b": (
        HostKind.LIBVIRT_SSH,
        {"host": "host", "user": "me", "port": "", "domain": "a b"},
    ),
    "libvirt+qemu+tls://host/system?domain=vm1&pkipath=/etc/pki": (
        HostKind.LIBVIRT_TLS,
        {"host": "host", "port": "", "certificates": "/etc/pki", "domain": "vm1"},
    ),
    "kubevirt://default/vm1": (HostKind.KUBEVIRT, {"namespace": "default", "domain": "vm1"}),
    "exchange:///media/usb/vm%201": (HostKind.FOLDER, {"path": "/media/usb/vm 1"}),
}


@pytest.mark.parametrize("url", EXAMPLES)
def test_a_url_is_taken_apart_and_put_together_again(url):
    kind, values = EXAMPLES[url]
    assert fields_of(url) == (kind, values)
    assert parse_host_url(url_of(kind, values)) == parse_host_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "qmp+ssh://",
        "https://host/",
        "qmp+tls://host:4444?ca=/ca.pem",
        "libvirt+qemu:///session?domain=vm1",
        "libvirt+qemu+ssh://host/system?socket=/run/other&domain=vm1",
        "libvirt+qemu+unix:///system?socket=/run/other",
    ],
)
def test_what_fields_can_not_hold_is_left_as_text(url):
    assert fields_of(url) is None


@pytest.mark.parametrize("kind", HostKind)
def test_nothing_filled_in_is_no_url(kind):
    assert url_of(kind, {}) == url_of(kind, {"path": "  ", "host": " "}) == ""


def test_what_is_wrong_is_said_of_its_part():
    values = {"host": "server1", "port": "70000", "path": "/run/vm1.sock"}
    assert "Its port" in problem_of(url_of(HostKind.SSH, values))
    assert problem_of("qmp+unix:///run/vm1.sock") == ""


def test_a_password_is_refused_and_not_repeated():
    values = {"host": "server1", "user": "me:hunter2", "path": "/run/vm1.sock"}
    problem = problem_of(url_of(HostKind.SSH, values))
    assert "password" in problem
    assert "hunter2" not in problem


GOOD = {
    "path": "/run/vm1.sock",
    "host": "server1",
    "user": "me",
    "port": "22",
    "certificates": "/etc/pki",
    "server-name": "vm.example",
    "domain": "vm1",
    "namespace": "default",
}
PARTS = ("/x", "?x=1", "&domain=other", "#x", "@other", ":1", "%2e", "%", " x", "é", "\ud800")


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in HostKind for name in FIELDS[kind]]
)
def test_no_field_becomes_another_part_of_the_url(kind, name):
    for part in PARTS:
        for text in (GOOD[name] + part, part + GOOD[name]):
            values = {one: GOOD[one] for one in FIELDS[kind]} | {name: text.strip()}
            url = url_of(kind, values)
            if problem_of(url):
                continue
            typed = text.strip().replace("\ud800", "?")
            assert fields_of(url) == (kind, values | {name: typed})


@given(kind=st.sampled_from(HostKind), data=st.data())
def test_whatever_is_typed_makes_a_url_or_a_problem_in_words(kind, data):
    text = st.text(st.sampled_from("a1./:?#@&=%+-[] \\é\udc80\ud800\n"), max_size=12)
    values = {name: data.draw(text) for name in FIELDS[kind]}
    url = url_of(kind, values)
    found = fields_of(url)
    assert url.isascii() or problem_of(url)
    assert found is None or found[0] is kind
