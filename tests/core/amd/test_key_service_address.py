# SPDX-License-Identifier: Apache-2.0
"""Where the key service is: AMD's own, a mirror, and what is refused as an address."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.amd.key_service_address import (
    KeyServiceAddress,
    is_loopback,
    key_service_address,
    place_of,
)
from watchword.core.errors import ExitStatus, UsageError

CHIP = bytes(range(64))


def test_amds_own_service_is_the_default():
    address = key_service_address(environment={})
    assert address == KeyServiceAddress()
    assert address.is_amd
    assert address.cek_url(CHIP) == f"https://kdsintf.amd.com/cek/id/{CHIP.hex()}"
    files = "https://download.amd.com/developer/eula/sev"
    assert address.ask_ark_url("milan") == f"{files}/ask_ark_milan.cert"


@pytest.mark.parametrize("text", ["https://kdsintf.amd.com", "https://kdsintf.amd.com/"])
def test_amds_own_service_may_be_named(text):
    assert key_service_address(text) == KeyServiceAddress()


def test_an_option_counts_before_the_variable_and_an_empty_variable_not_at_all():
    variable = {"WATCHWORD_KEY_SERVICE": "https://b.example"}
    assert key_service_address("https://a.example", variable).ceks == "https://a.example"
    assert key_service_address(None, variable).ceks == "https://b.example"
    assert key_service_address(None, {"WATCHWORD_KEY_SERVICE": ""}).is_amd


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("https://mirror.example", "mirror.example"),
        ("https://mirror.example:8443/amd/kds/", "mirror.example:8443"),
        ("https://192.0.2.7", "192.0.2.7"),
        ("https://[2001:db8::1]:444/x", "[2001:db8::1]:444"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://127.9.9.9", "127.9.9.9"),
        ("http://[::1]:1", "[::1]:1"),
        ("http://localhost", "localhost"),
    ],
)
def test_a_mirror_serves_everything_under_one_base(text, place):
    address = key_service_address(text)
    assert not address.is_amd
    assert address.cek_url(CHIP) == f"{text.rstrip('/')}/cek/id/{CHIP.hex()}"
    assert address.ask_ark_url("rome") == f"{text.rstrip('/')}/ask_ark_rome.cert"
    assert place_of(address.ceks) == place
    assert is_loopback(address.ceks) == text.startswith("http:")
    assert place in address.owner


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://mirror.example", "plain http"),
        ("http://127.0.0.1.example", "plain http"),
        ("http://127.1", "plain http"),
        ("http://2130706433", "plain http"),
        ("http://localhost.example", "plain http"),
        ("http://[::ffff:192.0.2.1]", "plain http"),
        ("https://me:hunter2@mirror.example", "password"),
        ("http://127.0.0.1@evil.example", "password"),
        ("https://mirror.example?x=1", "query"),
        ("https://mirror.example#x", "query"),
        ("https://mirror.example:0", "port"),
        ("https://mirror.example:65536", "port"),
        ("https://mirror.example:1:2", "plain URL"),
        ("https://mirror.example/../x", "plain URL"),
        ("https://mirror.example//x", "plain URL"),
        ("https://mirror.example/%2e", "plain URL"),
        ("https://mirror.example/x\n", "plain URL"),
        ("https://mirror.example\\x", "plain URL"),
        ("https://bücher.example", "plain URL"),
        ("https://", "plain URL"),
        ("ftp://mirror.example", "https://"),
        ("HTTPS://mirror.example", "https://"),
        ("mirror.example", "https://"),
        ("", "https://"),
    ],
)
def test_what_is_no_safe_address_is_refused_without_repeating_it(text, words):
    with pytest.raises(UsageError) as failure:
        key_service_address(text)
    error = failure.value
    assert (error.code, error.exit_status) == ("bad-key-service-url", ExitStatus.USAGE)
    assert words in error.message
    assert "hunter2" not in f"{error.as_json()}"


def test_the_error_names_the_variable():
    with pytest.raises(UsageError, match="WATCHWORD_KEY_SERVICE"):
        key_service_address(None, {"WATCHWORD_KEY_SERVICE": "x"})


@settings(max_examples=40)
@given(st.text() | st.from_regex(r"\Ahttps?://[][a-z0-9.:/~-]{0,30}\Z"))
def test_any_text_is_an_address_that_all_readers_take_alike_or_our_error(text):
    try:
        address = key_service_address(text, {})
    except UsageError:
        return
    if address.is_amd:
        return
    url = httpx.URL(address.cek_url(CHIP))
    host, _, port = place_of(address.ceks).rpartition(":")
    if not host or port.endswith("]"):
        host, port = place_of(address.ceks), ""
    assert url.host == host.strip("[]").lower()
    assert url.port in (None, int(port or 0))
    assert url.path.endswith(f"/cek/id/{CHIP.hex()}")
    assert not url.userinfo
    assert not url.query
