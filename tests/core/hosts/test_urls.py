# SPDX-License-Identifier: Apache-2.0
"""Which URLs name a host, and what is said about the others."""

from __future__ import annotations

import asyncio
import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import ExitStatus, UsageError
from watchword.core.hosts.qmp import QmpHost
from watchword.core.hosts.urls import (
    ExchangeAddress,
    SshAddress,
    TcpAddress,
    TlsAddress,
    UnixAddress,
    parse_host_url,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("qmp+unix:///run/vm1.sock", UnixAddress("/run/vm1.sock")),
        ("QMP+UNIX:///run/vm1.sock", UnixAddress("/run/vm1.sock")),
        ("qmp+unix:///run/a%20b%3F.sock", UnixAddress("/run/a b?.sock")),
        ("/run/vm1.sock", UnixAddress("/run/vm1.sock")),
        ("/run/100%.sock", UnixAddress("/run/100%.sock")),
        ("/run/a?b#c@d:e", UnixAddress("/run/a?b#c@d:e")),
        ("./vm1.sock", UnixAddress("./vm1.sock")),
        ("vms/vm1.sock", UnixAddress("vms/vm1.sock")),
        ("qmp+tcp://localhost:4444", TcpAddress("localhost", 4444)),
        ("qmp+tcp://node-3.example.org:4444/", TcpAddress("node-3.example.org", 4444)),
        ("qmp+tcp://192.0.2.7:1", TcpAddress("192.0.2.7", 1)),
        ("qmp+tcp://[2001:db8::1]:4444", TcpAddress("2001:db8::1", 4444)),
        ("qmp+tcp://[2001:DB8:0::1]:65535", TcpAddress("2001:db8::1", 65535)),
        ("qmp+tcp://[fe80::1%25eth0]:4444", TcpAddress("fe80::1%eth0", 4444)),
        ("[fe80::1%eth0]:4444", TcpAddress("fe80::1%eth0", 4444)),
        ("localhost:6550", TcpAddress("localhost", 6550)),
        ("[::1]:6550", TcpAddress("::1", 6550)),
        ("exchange:///media/usb/vm1", ExchangeAddress("/media/usb/vm1")),
        ("Exchange:/media/usb/vm1", ExchangeAddress("/media/usb/vm1")),
        ("exchange:///media/usb/vm1//", ExchangeAddress("/media/usb/vm1")),
        ("exchange:///media/my%20stick/100%25/ü", ExchangeAddress("/media/my stick/100%/ü")),
        ("exchange:///...", ExchangeAddress("/...")),
        ("qmp+ssh://host/run/vm1.sock", SshAddress("host", "/run/vm1.sock")),
        (
            "qmp+ssh://root@node-3.example.org:2222/run/qemu/vm%31.sock",
            SshAddress("node-3.example.org", "/run/qemu/vm1.sock", "root", 2222),
        ),
        ("qmp+ssh://[2001:DB8::1]/x", SshAddress("2001:db8::1", "/x")),
        ("qmp+ssh://u@[fe80::1%25eth0]:22/x", SshAddress("fe80::1%eth0", "/x", "u", 22)),
        (
            "qmp+ssh://my_alias/x@y,z=1+2/q-m_p.sock",
            SshAddress("my_alias", "/x@y,z=1+2/q-m_p.sock"),
        ),
        ("qmp+tls://host:4444?dir=/etc/pki/qemu", TlsAddress("host", 4444, "/etc/pki/qemu")),
        ("qmp+tls://host:4444/?ca=/a/ca.pem", TlsAddress("host", 4444, ca="/a/ca.pem")),
        (
            "qmp+tls://[::1]:1?key=/a/k%20ey&cert=/a/c%26rt&ca=/a/ca&server-name=vm.example",
            TlsAddress("::1", 1, None, "/a/ca", "/a/c&rt", "/a/k ey", "vm.example"),
        ),
        (
            "qmp+tls://host:1?dir=/d&server-name=2001:DB8::1",
            TlsAddress("host", 1, "/d", server_name="2001:db8::1"),
        ),
    ],
)
def test_a_url_names_an_address(text, address):
    assert parse_host_url(text) == address
    assert parse_host_url(address.url) == address


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "URL"),
        ("localhost", "port"),
        ("qmp+tcp://localhost", "port"),
        ("qmp+tcp://localhost:", "port"),
        ("qmp+tcp://localhost:0", "port"),
        ("qmp+tcp://localhost:65536", "port"),
        ("qmp+tcp://localhost:-1", "port"),
        ("qmp+tcp://localhost:+1", "port"),
        ("qmp+tcp://localhost:1_0", "port"),
        ("qmp+tcp://localhost: 1", "port"),
        ("qmp+tcp://localhost:٤", "port"),
        ("qmp+tcp://localhost:http", "port"),
        ("qmp+tcp://[::1]", "port"),
        ("qmp+tcp://[::1]4444", "port"),
        ("qmp+tcp://[::1:4444", "host"),
        ("qmp+tcp://::1:4444", "host"),
        ("qmp+tcp://[::g]:4444", "host"),
        ("qmp+tcp://[127.0.0.1]:4444", "host"),
        ("qmp+tcp://[fe80::1%-x]:4444", "host"),
        ("qmp+tcp://:4444", "host"),
        ("qmp+tcp:localhost:4444", "host"),
        ("qmp+tcp://-oProxyCommand=x:4444", "host"),
        ("-h:4444", "host"),
        ("qmp+tcp://127.1:4444", "host"),
        ("qmp+tcp://0x7f000001:4444", "host"),
        ("qmp+tcp://256.0.0.1:4444", "host"),
        ("qmp+tcp://bücher.example:4444", "host"),
        ("qmp+tcp://a..b:4444", "host"),
        ("qmp+tcp://a b:4444", "host"),
        ("qmp+tcp://localhost\n:4444", "host"),
        (f"qmp+tcp://{'a' * 64}:4444", "host"),
        ("qmp+tcp://localhost:4444/x", "path"),
        ("qmp+tcp://root@localhost:4444", "credentials"),
        ("qmp+tcp://root:hunter2@localhost:4444", "credentials"),
        ("root@localhost:4444", "credentials"),
        ("root@localhost:/run/vm1.sock", "credentials"),
        ("qmp+unix://root@localhost/run/vm1.sock", "credentials"),
        ("qmp+tcp://localhost:4444?tls=no", "query"),
        ("qmp+tcp://localhost:4444#x", "query"),
        ("qmp+unix:///run/vm1.sock?x=y", "query"),
        ("qmp+unix:", "path"),
        ("qmp+unix://", "path"),
        ("qmp+unix:///", "path"),
        ("qmp+unix:///run/", "path"),
        ("qmp+unix://run/vm1.sock", "path"),
        ("qmp+unix:-x/vm1.sock", "path"),
        ("-x/vm1.sock", "path"),
        ("qmp+unix:///run/%zz", "path"),
        ("qmp+unix:///run/%00", "path"),
        ("qmp+unix:///run/\ud800", "path"),
        (f"/{'a' * 107}", "path"),
        ("exchange:", "path"),
        ("exchange:///", "path"),
        ("exchange:media/usb", "path"),
        ("exchange:./vm1", "path"),
        ("exchange://host/vm1", "path"),
        ("exchange://root@host/vm1", "credentials"),
        ("exchange:///media/../etc", "path"),
        ("exchange:///media/%2e%2e/etc", "path"),
        ("exchange:///media/./vm1", "path"),
        ("exchange:///media//vm1", "path"),
        ("exchange:///media/%00", "path"),
        ("exchange:///media/%0avm1", "path"),
        ("exchange:///media/\u202evm1", "path"),
        ("exchange:///media/%ff", "path"),
        ("exchange:///media/%zz", "path"),
        ("exchange:///media/vm1?launch=x", "query"),
        ("exchange:///media/vm1#x", "query"),
        (f"exchange:///{'a/' * 1600}a", "path"),
        ("qmp+ssh://", "host"),
        ("qmp+ssh:host/x", "host"),
        ("qmp+ssh:///run/vm1.sock", "host"),
        ("qmp+ssh://-oProxyCommand=x/run/vm1.sock", "host"),
        ("qmp+ssh://u@-oProxyCommand=x/run/vm1.sock", "host"),
        ("qmp+ssh://$(id)/x", "host"),
        ("qmp+ssh://a;b/x", "host"),
        ("qmp+ssh://u@h@host/x", "user"),
        ("qmp+ssh://-lroot@host/x", "user"),
        ("qmp+ssh://@host/x", "user"),
        ("qmp+ssh://a`id`@host/x", "user"),
        ("qmp+ssh://root:hunter2@host/x", "credentials"),
        ("qmp+ssh://host", "path"),
        ("qmp+ssh://host/", "path"),
        ("qmp+ssh://host/run/", "path"),
        ("qmp+ssh://host/run//x", "path"),
        ("qmp+ssh://host/run/a b", "path"),
        ("qmp+ssh://host/run/$%7BHOME%7D", "path"),
        ("qmp+ssh://host/run/%25h", "path"),
        ("qmp+ssh://host/run/a:b", "path"),
        ("qmp+ssh://host/run/a%5Cb", "path"),
        ("qmp+ssh://host/run/a'b", "path"),
        ("qmp+ssh://host/run/%0ab", "path"),
        ("qmp+ssh://host/run/ü", "path"),
        (f"qmp+ssh://host/{'a' * 107}", "path"),
        ("qmp+ssh://host:0/x", "port"),
        ("qmp+ssh://host:/x", "port"),
        ("qmp+ssh://[::1]22/x", "port"),
        ("qmp+ssh://host/x?agent=yes", "query"),
        ("qmp+ssh://host/x#y", "query"),
        ("qmp+tls://host:4444", "query"),
        ("qmp+tls://host:4444?", "query"),
        ("qmp+tls:host:4444?dir=/d", "host"),
        ("qmp+tls://-h:4444?dir=/d", "host"),
        ("qmp+tls://host?dir=/d", "port"),
        ("qmp+tls://host:x?dir=/d", "port"),
        ("qmp+tls://host:1/x?dir=/d", "path"),
        ("qmp+tls://u@host:1?dir=/d", "credentials"),
        ("qmp+tls://host:1?dir=d", "query"),
        ("qmp+tls://host:1?dir=", "query"),
        ("qmp+tls://host:1?dir=/d&dir=/e", "query"),
        ("qmp+tls://host:1?dir=/d&ca=/e", "query"),
        ("qmp+tls://host:1?ca=/e&cert=/c", "query"),
        ("qmp+tls://host:1?cert=/c&key=/k", "query"),
        ("qmp+tls://host:1?dir=/d&no-verify=1", "query"),
        ("qmp+tls://host:1?dir=/d&DIR=/d", "query"),
        ("qmp+tls://host:1?dir=/d%00", "query"),
        ("qmp+tls://host:1?dir=/d%zz", "query"),
        ("qmp+tls://host:1?dir=/d#x", "query"),
        ("qmp+tls://host:1?dir=/d&server-name=-x", "host"),
        ("http://localhost:4444", "scheme"),
        ("qmp://localhost:4444", "scheme"),
        ("qmp+quic://localhost:4444", "scheme"),
        ("\x1b[31m://x", "scheme"),
    ],
)
def test_a_url_that_names_nothing_is_refused_with_the_part_that_is_wrong(text, part):
    with pytest.raises(UsageError) as caught:
        parse_host_url(text)
    assert caught.value.code == "bad-host-url"
    assert caught.value.exit_status == ExitStatus.USAGE
    assert caught.value.details["part"] == part
    assert part in caught.value.message or part == "URL"
    assert caught.value.remedy
    assert "hunter2" not in str(caught.value.as_json())
    assert caught.value.message.isprintable()


def test_an_unknown_scheme_is_answered_with_all_that_there_are():
    with pytest.raises(UsageError) as caught:
        parse_host_url("https://host/run/vm1.sock")
    named = re.findall(r"[a-z+]+(?=[:,])", caught.value.remedy)
    assert {"qmp+unix", "qmp+ssh", "qmp+tls", "libvirt+qemu+ssh", "kubevirt", "exchange"} < {*named}
    for scheme in named:
        with pytest.raises(UsageError) as refusal:
            parse_host_url(f"{scheme}://")
        assert refusal.value.details["part"] != "scheme"


def test_a_path_of_107_bytes_is_accepted():
    assert parse_host_url("/" + "a" * 106) == UnixAddress("/" + "a" * 106)


@pytest.mark.parametrize(
    ("text", "warn"),
    [
        ("/run/vm1.sock", False),
        ("localhost:1", False),
        ("vm.localhost.:1", False),
        ("127.0.0.9:1", False),
        ("[::1]:1", False),
        ("[::ffff:127.0.0.1]:1", False),
        ("[::ffff:192.0.2.1]:1", True),
        ("192.0.2.1:1", True),
        ("[2001:db8::1]:1", True),
        ("[fe80::1%eth0]:1", True),
        ("localhost.example.org:1", True),
        ("0.0.0.0:1", True),
        ("exchange:///media/usb/vm1", False),
        ("qmp+ssh://192.0.2.1/x", False),
        ("qmp+tls://192.0.2.1:1?dir=/d", False),
    ],
)
def test_plain_text_to_another_machine_is_marked(text, warn):
    assert parse_host_url(text).plaintext_remote is warn


@given(
    st.one_of(
        st.text(),
        st.text(alphabet="qmp+tcunix:/[]%@?#.-019af \0é\ud800"),
        st.text().map("qmp+tcp://{}:1".format),
        st.text().map("qmp+unix://{}".format),
        st.text().map("exchange:///{}".format),
        st.text(alphabet="ab@:/-%$[]0é").map("qmp+ssh://{}/x".format),
        st.text().map("qmp+ssh://host/{}".format),
        st.text(alphabet="dircaertky-=&/%20?#é").map("qmp+tls://host:1?{}".format),
        st.text().map("qmp+tls://host:1?dir=/{}".format),
    )
)
def test_any_text_gives_an_address_that_survives_its_url_or_a_usage_error(text):
    with contextlib.suppress(UsageError):
        address = parse_host_url(text)
        assert address.url.isascii()
        assert parse_host_url(address.url) == address


def test_a_folder_is_not_connected_to():
    with pytest.raises(UsageError) as caught:
        asyncio.run(QmpHost.connect(ExchangeAddress("/media/usb/vm1")))
    assert caught.value.code == "host-not-by-qmp"
    assert "exchange:///media/usb/vm1" in caught.value.message
