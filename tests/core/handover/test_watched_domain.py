# SPDX-License-Identifier: Apache-2.0
"""What a watch reads in a domain's XML, and what it writes: the rest stays as it is."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.handover.domain_xml import NAMESPACE, parse_domain
from watchword.core.handover.vm_order import SevOptions
from watchword.core.handover.watched_domain import read_watched, with_blob, with_request

GODH = bytes(range(256)) * 8 + bytes(36)
SEV = SevOptions(godh=GODH, blob=b"\x07" * 128, policy=0x0011_0007, kernel_hashes=True)
REQUEST = "0123456789abcdef" * 2


def domain(inside="", metadata=""):
    return f"<domain type='kvm'><name>web-1</name>{metadata}<vcpu>2</vcpu>{inside}</domain>"


def own(inside, prefix="watchword:"):
    space = f"xmlns:watchword='{NAMESPACE}'"
    text = inside.replace("<", f"<{prefix}").replace(f"<{prefix}/", f"</{prefix}")
    return f"<metadata><watchword:watchword {space}>{text}</watchword:watchword></metadata>"


def test_a_plain_domain_says_nothing() -> None:
    watched = read_watched(domain())
    assert (watched.guest, watched.request, watched.godh) == (None, None, None)
    assert not watched.prepared
    assert not watched.sev


@pytest.mark.parametrize("prefix", ["watchword:", ""])
def test_the_metadata_name_the_guest(prefix) -> None:
    """With the namespace on each element, and as ``virsh metadata --set`` leaves it."""
    text = domain(metadata=own(f"<guest>web</guest><request>{REQUEST}</request>", prefix))
    watched = read_watched(text)
    assert (watched.guest, watched.request) == ("web", REQUEST)


@pytest.mark.parametrize("guest", ["", "../web", "a b", "-x", "x" * 70, "\u202eweb", "a\nb"])
def test_what_can_name_no_guest_names_none(guest) -> None:
    assert read_watched(domain(metadata=own(f"<guest>{guest}</guest>"))).guest is None


def test_another_programs_metadata_are_not_ours() -> None:
    metadata = (
        "<metadata><watchword xmlns='http://other/1'><guest>web</guest></watchword></metadata>"
    )
    assert read_watched(domain(metadata=metadata)).guest is None


def test_a_request_goes_in_and_another_one_takes_its_place() -> None:
    text = with_request(domain(metadata=own("<guest>web</guest>")), "ab" * 16)
    text = with_request(text, REQUEST)
    watched = read_watched(text)
    assert (watched.guest, watched.request) == ("web", REQUEST)
    assert text.count("request>") == 2
    assert parse_domain(text, "x").findtext("vcpu") == "2"


def test_the_blob_goes_in_and_the_request_out() -> None:
    text = with_blob(with_request(domain(metadata=own("<guest>web</guest>")), REQUEST), SEV)
    watched = read_watched(text)
    assert (watched.guest, watched.request, watched.godh) == ("web", None, GODH)
    assert watched.prepared
    assert watched.sev
    security = parse_domain(text, "x").find("launchSecurity")
    assert security.get("kernelHashes") == "yes"
    assert security.findtext("policy") == "0x110007"
    assert "".join(security.findtext("session").split()) == SEV.session_base64


def test_there_is_one_launch_security_afterwards() -> None:
    text = with_blob(domain(inside="<launchSecurity type='sev'/><launchSecurity/>"), SEV)
    assert text.count("<launchSecurity") == 1


@pytest.mark.parametrize(
    ("cert", "found"),
    [
        (base64.b64encode(GODH).decode(), True),
        (f"\n  {base64.b64encode(GODH[:1000]).decode()}\n", False),
        (base64.b64encode(GODH + b"x").decode(), False),
        ("A" * 100_000, False),
        ("=" * 2780, False),
        ("\u00e4" * 2780, False),
    ],
)
def test_a_dh_cert_counts_only_whole(cert, found) -> None:
    inside = f"<launchSecurity type='sev'><dhCert>{cert}</dhCert></launchSecurity>"
    assert (read_watched(domain(inside)).godh is not None) is found


def test_what_is_no_sev_domain_has_no_blob() -> None:
    cert = base64.b64encode(GODH).decode()
    inside = f"<launchSecurity type='s390-pv'><dhCert>{cert}</dhCert><session>A</session>"
    watched = read_watched(domain(f"{inside}</launchSecurity>"))
    assert not watched.sev
    assert not watched.prepared
    assert watched.godh is None


@pytest.mark.parametrize("text", ["", "<a/>", "<!DOCTYPE d><domain/>", "<domain>" * 50, "\x00"])
@pytest.mark.parametrize(
    "use", [read_watched, lambda text: with_request(text, REQUEST), lambda t: with_blob(t, SEV)]
)
def test_what_is_no_domain_is_refused(text, use) -> None:
    with pytest.raises(BadInput) as caught:
        use(text)
    assert caught.value.code == "bad-domain-xml"


@given(st.text(max_size=300))
def test_whatever_a_host_writes_is_read_or_refused(text) -> None:
    for given_text in (text, domain(text), domain(metadata=text)):
        try:
            watched = read_watched(given_text)
        except BadInput:
            continue
        assert watched.guest is None or watched.guest.isascii()
