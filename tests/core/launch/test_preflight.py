# SPDX-License-Identifier: Apache-2.0
"""Looking a host over before a launch: what it shows becomes advice, and errors too."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import pytest

from watchword.core.amd.advisories import published_advisories
from watchword.core.errors import HostError
from watchword.core.hosts.protocol import NodeAnswer
from watchword.core.hosts.qmp import QmpHost
from watchword.core.hosts.urls import parse_host_url
from watchword.core.launch.preflight import Expectations, Standing, look_over
from watchword.core.launch.sev_plan import nobody_else_knows
from watchword.core.sev.advisories import Advisories, Advisory
from watchword.core.simulator import PlatformKeys, SimulatedHost

from .support import amd_like_roots


@pytest.fixture
def expected(keys):
    async def signed_cek(chip_id, so_far):
        return [("AMD's copy", keys.cek)] if chip_id == keys.chip_id else []

    return Expectations(amd_like_roots(keys), published_advisories(), signed_cek)


class Changed:
    """A host that answers as another one does, but for some answers."""

    def __init__(self, host, **answers):
        self._host = host
        self._answers = answers

    def __getattr__(self, name):
        if name not in self._answers:
            return getattr(self._host, name)

        async def answer():
            value = self._answers[name]
            if isinstance(value, Exception):
                raise value
            return value(await getattr(self._host, name)()) if callable(value) else value

        return answer


class Node(Changed):
    """One that also tells of the machine."""

    async def node(self):
        return self._answers["node_answer"]


def look(keys, expected, change=lambda host: host):
    """What is found on a simulated host whose answers may be changed."""

    async def findings():
        async with SimulatedHost(keys) as simulated:
            server = await simulated.open_monitor()
            async with await QmpHost.connect(parse_host_url(server.url)) as host:
                return await look_over(change(host), expected)

    return asyncio.run(findings())


def about(preflight, what):
    return [finding for finding in preflight.findings if finding.about == what]


def test_a_host_that_shows_all_it_should_gives_hope(keys, expected):
    found = look(keys, replace(expected, session_pdh=keys.pdh))
    assert found.hopeful
    for what in ("reach", "chip-id", "chain", "pdh"):
        (finding,) = about(found, what)
        assert finding.standing is Standing.GOOD, finding
    (node,) = about(found, "node")
    assert node.standing is Standing.UNKNOWN


def test_a_pdh_that_was_regenerated_since_is_said_in_those_words(keys, expected):
    other = PlatformKeys.generate(2048)
    found = look(keys, replace(expected, session_pdh=other.pdh))
    (finding,) = about(found, "pdh")
    assert finding.standing is Standing.PROBLEM
    assert "PDH was regenerated since the launch was prepared" in finding.sentence
    assert "prepare a new one" in finding.remedy
    assert not found.hopeful


def test_a_chain_under_another_root_is_a_problem(keys, expected):
    found = look(PlatformKeys.generate(2048), expected)
    assert about(found, "chain")[0].standing is not Standing.GOOD


def test_an_unsigned_cek_alone_leaves_the_chain_open_and_says_how_to_close_it(keys, expected):
    found = look(keys, replace(expected, more_certificates=nobody_else_knows))
    (finding,) = about(found, "chain")
    assert finding.standing is not Standing.GOOD
    assert "--fetch-cek" in finding.remedy


def test_a_machine_that_the_profile_does_not_allow_is_a_problem(keys, expected):
    found = look(keys, replace(expected, ceks=("00" * 32,)))
    assert any(f.standing is Standing.PROBLEM for f in about(found, "generation"))


def test_a_host_without_a_chip_id_gets_the_command_that_prints_it(keys, expected):
    def old(host):
        return Changed(host, platform=lambda answer: replace(answer, cpu_id=None))

    (finding,) = about(look(keys, expected, change=old), "chip-id")
    assert finding.standing is Standing.WARNING
    assert "sevctl" in finding.remedy


def test_a_host_without_sev_is_one_finding_and_no_error(keys, expected):
    error = HostError("sev-off", "SEV is off", "KVM says so.", "Turn it on.")
    found = look(keys, expected, change=lambda host: Changed(host, platform=error))
    assert not found.hopeful
    (finding,) = about(found, "reach")
    assert (finding.sentence, finding.remedy) == ("SEV is off. KVM says so.", "Turn it on.")


def test_garbage_for_certificates_is_one_finding_and_no_error(keys, expected):
    def garbled(host):
        return Changed(host, platform=lambda answer: replace(answer, cert_chain=b"\xff" * 6252))

    found = look(keys, expected, change=garbled)
    assert not found.hopeful
    assert about(found, "chain")


@pytest.mark.parametrize(
    ("node", "standing"),
    [
        (NodeAnswer(15, 100, None), Standing.GOOD),
        (NodeAnswer(15, 0), Standing.WARNING),
        (NodeAnswer(0, 0, False), Standing.PROBLEM),
    ],
)
def test_what_a_host_tells_of_the_machine_is_judged(keys, expected, node, standing):
    found = look(keys, expected, change=lambda host: Node(host, node_answer=node))
    (finding,) = about(found, "node")
    assert finding.standing is standing
    assert "SEV-ES guests at most" in finding.sentence


def test_a_known_bad_build_of_a_started_guest_is_a_problem(keys, expected):
    from watchword.core.hosts.protocol import GuestState, SevState, Technology

    state = GuestState(True, Technology.SEV, 0, 17, 11, SevState.LAUNCH_SECRET, 5, 1, False)
    found = look(keys, expected, change=lambda host: Changed(host, state=state))
    assert any("CVE-2019-9836" in finding.sentence for finding in found.findings)
    (guest,) = about(found, "guest")
    assert guest.sentence.startswith("An SEV-ES guest is paused")


def test_known_weak_generations_are_warned_of_and_no_more(keys, expected):
    weak = Advisory("A paper", "2026-01-01", "keys can be read", "somewhere", ("simulated",))
    found = look(keys, replace(expected, advisories=Advisories("2026-01-02", (weak,))))
    (finding,) = about(found, "generation")
    assert (finding.standing, found.hopeful) == (Standing.WARNING, True)


def test_the_findings_are_json(keys, expected):
    import json

    text = json.dumps(look(keys, expected).as_json())
    assert base64.b64encode(keys.pdh).decode() not in text
    assert json.loads(text)["hopeful"] is True
