# SPDX-License-Identifier: Apache-2.0
"""Listening sockets: private, tidy, and never in the place of somebody else's."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from watchword.core.errors import BadInput
from watchword.core.watch.listening import listen_on_file, listen_on_loopback

from .service_support import short_folder


@pytest.fixture
def folder():
    with short_folder() as path:
        yield path


def test_a_socket_file_is_its_owners_and_goes_with_the_socket(folder):
    path = folder / "s"
    with listen_on_file(path, "the socket") as listening:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        assert not listening.socket.getblocking()
    assert not path.exists()


def test_a_group_may_be_let_in(folder):
    with listen_on_file(folder / "s", "the socket", group=os.getgid()):
        status = (folder / "s").stat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, os.getgid())


def test_a_socket_that_nobody_listens_on_is_replaced(folder):
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listen_on_file(path, "the socket"):
        assert path.is_socket()


def test_somebody_elses_socket_stays(folder):
    path = folder / "s"
    with listen_on_file(path, "the socket"):
        with pytest.raises(BadInput) as caught:
            listen_on_file(path, "the socket")
        assert "in use" in caught.value.message
        assert path.is_socket()


def test_a_file_that_took_the_sockets_place_stays(folder):
    path = folder / "s"
    with listen_on_file(path, "the socket"):
        path.unlink()
        path.write_text("mine")
    assert path.read_text() == "mine"


@pytest.mark.parametrize("kind", ["file", "folder", "link", "long", "nowhere", "nul"])
def test_what_is_no_place_for_a_socket_is_refused_and_left_as_it_is(folder, kind):
    path = folder / "s"
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(folder / "elsewhere")
    else:
        path = {"long": folder / ("x" * 100), "nowhere": folder / "a/b", "nul": folder / "a\0"}[
            kind
        ]
    with pytest.raises(BadInput) as caught:
        listen_on_file(path, "the socket")
    assert (caught.value.code, caught.value.field) == ("cannot-listen", "the socket")
    assert not (folder / "elsewhere").exists()
    assert kind != "file" or path.read_text() == "mine"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_loopback_is_listened_on_and_a_port_that_is_taken_is_told(host):
    try:
        listening = listen_on_loopback(host, 0, "the address")
    except BadInput:
        assert host == "::1"  # a machine without IPv6
        return
    with listening:
        port = listening.socket.getsockname()[1]
        with pytest.raises(BadInput) as caught:
            listen_on_loopback(host, port, "the address")
        assert caught.value.code == "cannot-listen"
