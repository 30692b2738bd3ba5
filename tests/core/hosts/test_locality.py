# SPDX-License-Identifier: Apache-2.0
"""Which hosts are this very machine, and what is said of the way to a host beforehand."""

from __future__ import annotations

import socket

import pytest

from watchword.core.hosts.host_warnings import host_warnings
from watchword.core.hosts.locality import LOCAL_WARNING, is_local, local_warnings
from watchword.core.hosts.urls import parse_host_url

from .tls_server import Authority


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("qmp+unix:///run/vm1.sock", True),
        ("/run/vm1.sock", True),
        ("qmp+tcp://localhost:1", True),
        ("qmp+tcp://LOCALHOST.:1", True),
        ("qmp+tcp://127.0.0.9:1", True),
        ("qmp+tcp://ip6-localhost:1", True),
        ("qmp+ssh://root@IP6-loopback./x", True),
        ("libvirt+qemu+ssh://ip6-localhost/system", True),
        ("qmp+tcp://ip6-localhost.example.org:1", False),
        ("qmp+tcp://[::1]:1", True),
        ("qmp+tcp://[::ffff:127.0.0.1]:1", True),
        ("qmp+tcp://0.0.0.0:1", True),
        ("qmp+ssh://root@localhost/x", True),
        ("qmp+tls://127.0.0.1:1?dir=/d", True),
        ("qmp+tcp://192.0.2.1:1", False),
        ("qmp+tcp://[2001:db8::1]:1", False),
        ("qmp+tcp://[fe80::1%25eth0]:1", False),
        ("qmp+tcp://localhost.example.org:1", False),
        ("qmp+ssh://vm.example/x", False),
        ("qmp+tls://vm.example:1?dir=/d&server-name=localhost", False),
        ("exchange:///media/usb/vm1", False),
        ("", False),
        ("no URL at all", False),
    ],
)
def test_a_url_tells_whether_it_leads_to_this_machine(url, local):
    assert is_local(url) is local


def test_this_machine_s_own_name_and_addresses_are_this_machine():
    assert is_local(f"qmp+ssh://{socket.gethostname()}/x")
    # A UDP socket that is "connected" has an address, and has sent nothing.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return
        own = probe.getsockname()[0]
    assert is_local(f"qmp+tcp://{own}:1")


def test_a_rehearsal_is_not_warned_of():
    assert local_warnings("qmp+unix:///x", simulated=False) == (LOCAL_WARNING,)
    assert local_warnings("qmp+unix:///x", simulated=True) == ()
    assert local_warnings("qmp+ssh://vm.example/x", simulated=False) == ()


def test_plain_text_across_a_network_is_warned_of():
    (warning,) = host_warnings(parse_host_url("qmp+tcp://192.0.2.1:1"))
    assert warning.code == "host-not-encrypted"
    for url in ("qmp+tcp://localhost:1", "qmp+ssh://192.0.2.1/x", "exchange:///x"):
        assert host_warnings(parse_host_url(url)) == ()


def test_a_key_that_others_may_read_is_warned_of(tmp_path):
    folder = Authority().folder(tmp_path / "pki", "client")
    address = parse_host_url(f"qmp+tls://192.0.2.1:1?dir={folder}")
    assert host_warnings(address) == ()
    (folder / "client-key.pem").chmod(0o640)
    (warning,) = host_warnings(address)
    assert warning.code == "host-key-readable"
    assert "chmod 600" in warning.text
    (folder / "client-key.pem").unlink()
    assert host_warnings(address) == ()
