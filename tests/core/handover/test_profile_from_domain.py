# SPDX-License-Identifier: Apache-2.0
"""A draft of a profile from a domain's XML: what is there, and nothing that a host slips in."""

from __future__ import annotations

import xml.sax.saxutils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import BadInput, WatchwordError
from watchword.core.handover.domain_xml import LARGEST_DOMAIN
from watchword.core.handover.libvirt_domain import new_domain
from watchword.core.handover.profile_from_domain import LONGEST_TEXT, profile_from_domain

from .test_start_commands import EXISTING, ORDER, PLAIN

FIELD = "the domain's XML"


def draft(text):
    return profile_from_domain(text, FIELD)


def domain(os="", more="", machine="q35"):
    return f"<domain><os><type machine='{machine}'>hvm</type>{os}</os>{more}</domain>"


def test_what_a_launchs_own_domain_says_is_all_there() -> None:
    found = draft(new_domain(ORDER))
    assert found.policy is not None
    assert found.policy.value == ORDER.policy
    assert dict(found.host_files) == {
        "firmware": ORDER.firmware,
        "kernel": ORDER.kernel,
        "initrd": ORDER.initrd,
    }
    assert (found.cmdline, found.vcpus, found.cpu) == (ORDER.cmdline, 4, "EPYC-Milan")
    assert found.encrypted_state
    assert found.notes == ()


def test_a_weak_policy_is_told_and_not_made_stronger_by_itself() -> None:
    found = draft(new_domain(PLAIN))
    assert found.policy is not None
    assert found.policy.value == 1
    assert not found.encrypted_state
    assert any("0x1 asks for less" in note for note in found.notes)


def test_a_domain_without_sev_says_what_it_lacks() -> None:
    found = draft(EXISTING)
    assert (found.policy, found.firmware, found.cpu, found.vcpus) == (None, None, None, 1)
    told = " ".join(found.notes)
    for words in ("NVRAM", "no launchSecurity", "names no firmware", "host's own CPU"):
        assert words in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (domain("<loader>relative.fd</loader>"), "no path from / on"),
        (domain("<loader>/a&#x202e;b</loader>"), "can't be shown"),
        (domain(f"<kernel>/k</kernel><cmdline>{'x' * (LONGEST_TEXT + 1)}</cmdline>"), "4096"),
        (domain(more="<vcpu>0</vcpu>"), "vcpu is left out"),
        (domain(more="<vcpu>٣</vcpu>"), "vcpu is left out"),
        (domain(more="<vcpu current='-1'>2</vcpu>"), "vcpu is left out"),
        (domain(more="<cpu><model>Skylake</model></cpu>"), "none of QEMU's AMD models"),
        (domain(more="<launchSecurity type='sev'><policy>0xffff</policy></launchSecurity>"), "SEV"),
        (domain(more="<launchSecurity type='sev'><policy>1e3</policy></launchSecurity>"), "SEV"),
        (domain(more="<launchSecurity type='sev-snp'><policy>1</policy></launchSecurity>"), "not"),
        (domain(machine="pc"), "not q35"),
    ],
)
def test_what_can_not_be_used_is_left_out_and_told(text, told) -> None:
    found = draft(text)
    assert any(told in note for note in found.notes)
    assert (found.policy, found.firmware, found.cmdline, found.vcpus, found.cpu) == (None,) * 5


def test_a_kernel_that_is_not_measured_yet_is_told() -> None:
    security = "<launchSecurity type='sev'><policy>0x1100002f</policy></launchSecurity>"
    found = draft(domain("<loader>/f</loader><kernel>/k</kernel>", security))
    assert found.kernel == "/k"
    assert any("kernelHashes" in note for note in found.notes)


def test_initrd_and_command_line_count_with_a_kernel_alone() -> None:
    found = draft(domain("<initrd>/i</initrd><cmdline>root=/dev/vda</cmdline>"))
    assert (found.initrd, found.cmdline) == (None, None)


def test_a_command_line_is_kept_to_the_byte() -> None:
    found = draft(domain("<kernel>/k</kernel><cmdline> a  b </cmdline>"))
    assert found.cmdline == " a  b "


@pytest.mark.parametrize(
    "text",
    [
        domain("<loader>/a</loader><loader>/b</loader>"),
        domain("<kernel>/a<!-- -->/b</kernel>"),
        domain("<kernel>/k</kernel><cmdline>a<b/>c</cmdline>"),
        domain(more="<launchSecurity type='sev'/><launchSecurity type='sev'/>"),
        domain(more="<os/>"),
        "<!DOCTYPE domain [<!ENTITY e 'x'>]><domain><os><loader>/&e;</loader></os></domain>",
        "<network/>",
        "not XML",
        " " * (LARGEST_DOMAIN + 1),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(text) -> None:
    with pytest.raises(BadInput) as refused:
        draft(text)
    assert refused.value.code == "bad-domain-xml"


@given(st.text(max_size=200))
def test_whatever_a_host_writes_comes_out_printable(text) -> None:
    told = xml.sax.saxutils.escape(text)
    os = f"<loader>/{told}</loader><kernel>/{told}</kernel><cmdline>{told}</cmdline>"
    try:
        found = draft(domain(os, f"<vcpu>{told}</vcpu><cpu><model>{told}</model></cpu>"))
    except (WatchwordError, UnicodeEncodeError):
        return
    shown = [*dict(found.host_files).values(), found.cmdline or "", *found.notes]
    assert all(one.isprintable() for one in shown)
