# SPDX-License-Identifier: Apache-2.0
"""URLs of VMs that libvirt or KubeVirt runs: what is taken, and all that is not."""

from __future__ import annotations

import pytest

from watchword.core.errors import UsageError
from watchword.core.hosts.kubevirt_url import KubevirtAddress
from watchword.core.hosts.libvirt_url import SYSTEM_SOCKET, Instance, LibvirtAddress, Transport
from watchword.core.hosts.locality import is_local
from watchword.core.hosts.urls import parse_host_url


@pytest.mark.parametrize(
    ("text", "address", "uri"),
    [
        (
            "libvirt+qemu:///system?domain=vm1",
            LibvirtAddress(Transport.LOCAL, Instance.SYSTEM, "vm1"),
            "qemu:///system",
        ),
        (
            "libvirt+qemu:///session",
            LibvirtAddress(Transport.LOCAL, Instance.SESSION),
            "qemu:///session",
        ),
        (
            "libvirt+qemu+unix:///session?socket=/run/l/sock&domain=a%20b",
            LibvirtAddress(Transport.UNIX, Instance.SESSION, "a b", socket="/run/l/sock"),
            "qemu+unix:///session?socket=/run/l/sock",
        ),
        (
            "libvirt+qemu+tls://h.example:1/system?domain=v&pkipath=/etc/pki/x",
            LibvirtAddress(
                Transport.TLS, Instance.SYSTEM, "v", "h.example", port=1, pki="/etc/pki/x"
            ),
            "qemu+tls://h.example:1/system?pkipath=/etc/pki/x",
        ),
    ],
)
def test_a_libvirt_url_is_read_and_written_and_turned_into_libvirts_own(text, address, uri):
    assert parse_host_url(text) == address
    assert parse_host_url(address.url) == address
    assert address.uri() == uri


def test_over_ssh_the_daemons_socket_is_tunnelled_by_our_own_ssh():
    address = parse_host_url("libvirt+qemu+ssh://op@h:2222/system?domain=vm1")
    there = address.through_ssh
    assert (there.user, there.host, there.port, there.path) == ("op", "h", 2222, SYSTEM_SOCKET)
    # libvirt itself is never told to run an ssh, nor anything else.
    assert address.uri("/tmp/x/qmp") == "qemu+unix:///system?socket=/tmp/x/qmp"
    assert parse_host_url(address.url) == address


@pytest.mark.parametrize(
    "text",
    [
        "libvirt+qemu+ext:///system",
        "libvirt+qemu+tcp://h/system",
        "libvirt+qemu+libssh2://h/system",
        "libvirt+test:///default",
        "libvirt+xen:///system",
        "libvirt+qemu:///system?command=/bin/sh",
        "libvirt+qemu+ssh://h/system?netcat=evil",
        "libvirt+qemu+ssh://h/system?no_verify=1",
        "libvirt+qemu+tls://h/system?no_verify=1",
        "libvirt+qemu+ssh://h/system?keyfile=/k",
        "libvirt+qemu+ssh://h/system?proxy=netcat",
        "libvirt+qemu+ssh://h/system?socket=/a%26command=/b",
        "libvirt+qemu+ssh://h/system?socket=relative",
        "libvirt+qemu:///system?domain=a&domain=b",
        "libvirt+qemu:///system?domain=",
        "libvirt+qemu:///system?domain=-x",
        "libvirt+qemu:///system?domain=a%0ab",
        "libvirt+qemu:///system#x",
        "libvirt+qemu:///other",
        "libvirt+qemu:///",
        "libvirt+qemu://host/system",
        "libvirt+qemu:system",
        "libvirt+qemu+ssh:///system",
        "libvirt+qemu+ssh://-oProxyCommand=x/system",
        "libvirt+qemu+ssh://-l@h/system",
        "libvirt+qemu+ssh://user:hunter2@h/system",
        "libvirt+qemu+tls://user@h/system",
        "libvirt+qemu+ssh://h:0/system",
        "libvirt+qemu+ssh://h/session",
        "kubevirt:default/vm",
        "kubevirt://default",
        "kubevirt:///vm",
        "kubevirt://default/vm/x",
        "kubevirt://Default/vm",
        "kubevirt://default/--kubeconfig",
        "kubevirt://user:hunter2@default/vm",
        "kubevirt://default/vm?x=1",
    ],
)
def test_everything_else_is_refused_and_no_password_is_repeated(text):
    with pytest.raises(UsageError) as caught:
        parse_host_url(text)
    assert caught.value.code == "bad-host-url"
    assert caught.value.remedy
    assert "hunter2" not in str(caught.value.as_json())


def test_a_kubevirt_url_is_read_and_written():
    address = parse_host_url("kubevirt://prod/web-1")
    assert address == KubevirtAddress("prod", "web-1")
    assert address.url == "kubevirt://prod/web-1"


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("libvirt+qemu:///system", True),
        ("libvirt+qemu+tls://localhost/system", True),
        ("libvirt+qemu+tls://h.example/system", False),
        ("kubevirt://a/b", False),
    ],
)
def test_a_daemon_of_this_machine_is_local(text, local):
    assert is_local(text) is local
