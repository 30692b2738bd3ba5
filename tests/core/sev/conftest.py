# SPDX-License-Identifier: Apache-2.0
"""Certificates, platforms and sessions that tests of the protocol start from."""

from __future__ import annotations

import pytest

from watchword.core.errors import WatchwordError
from watchword.core.sev.advisories import Advisories
from watchword.core.sev.certificates import AmdCertificate
from watchword.core.sev.chain import PlatformCertificates, RootKeys, examine_chain
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.measurement import (
    FirmwareRequirements,
    ReportedMeasurement,
    compute_measurement,
    verify_measurement,
)
from watchword.core.sev.platform import verify_chain, waive_platform
from watchword.core.sev.policy import DEFAULT_POLICY, approve_policy
from watchword.core.sev.session import SessionRandomness, create_session

from .chain_maker import Authority, PlatformMaker

NOTHING_KNOWN = Advisories("2026-11-23", ())
GOOD_VERSION = FirmwareVersion(1, 55, 21)


def outcome(function, *arguments):
    """What a function returns, or the error of ours that it raises; any other goes through."""
    try:
        return function(*arguments)
    except WatchwordError as error:
        return error


@pytest.fixture(scope="session")
def authority():
    """A root that is not AMD's."""
    return Authority.make()


@pytest.fixture(scope="session")
def maker(authority):
    """A platform under that root."""
    return PlatformMaker(authority)


@pytest.fixture(scope="session")
def made(maker):
    """Its six certificates as bytes, by role."""
    return maker.files()


@pytest.fixture(scope="session")
def made_roots(authority):
    """The made-up root in the place of AMD's, so that its chains count as verified."""
    ark, ask = AmdCertificate.parse(authority.ark), AmdCertificate.parse(authority.ask)
    return (RootKeys("made-up", ark, ask),)


@pytest.fixture(scope="session")
def verified_platform(made, made_roots):
    return verify_chain(PlatformCertificates(**made), made_roots, NOTHING_KNOWN)


@pytest.fixture(scope="session")
def foreign_platform(made, made_roots):
    trusted = [keys.ark for keys in made_roots]
    return verify_chain(PlatformCertificates(**made), (), NOTHING_KNOWN, trusted_roots=trusted)


@pytest.fixture(scope="session")
def waived_platform(made):
    certificates = PlatformCertificates(pdh=made["pdh"])
    return waive_platform(certificates, examine_chain(certificates, ()), "test bench")


@pytest.fixture
def new_session():
    """Makes sessions: for a platform, with the default policy unless told otherwise."""

    def make(platform, policy=DEFAULT_POLICY, waiver=None, random=None):
        randomness = SessionRandomness.draw(random or counting_random())
        return create_session(platform, approve_policy(policy, waiver), randomness)[0]

    return make


@pytest.fixture
def measured():
    """Makes verified measurements for a session, as an honest host's reply gives them."""

    def make(session, digest=bytes(32), version=GOOD_VERSION):
        policy = session.policy.policy.value
        mac = compute_measurement(session.tik, version, policy, digest, b"n" * 16)
        reported = ReportedMeasurement(mac, b"n" * 16)
        return verify_measurement(session, reported, version, [digest], requirements())

    return make


def requirements(minimum_api=(0, 17), minimum_build=0, advisories=NOTHING_KNOWN):
    return FirmwareRequirements(minimum_api, minimum_build, advisories)


def counting_random():
    """Bytes that are the same in each run, and different in each call."""
    drawn = 0

    def random(size):
        nonlocal drawn
        drawn += 1
        return bytes((37 * drawn + 11 * place) % 256 for place in range(size))

    return random
