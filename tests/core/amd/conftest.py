# SPDX-License-Identifier: Apache-2.0
"""Keys of a made-up AMD, certificates under them, and clients that wait for nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from watchword.core.amd.key_service import KeyService
from watchword.core.amd.key_service_address import key_service_address
from watchword.core.amd.key_service_limits import KeyServiceLimits
from watchword.core.sev.certificates import AmdCertificate
from watchword.core.sev.chain import RootKeys

from ..sev.chain_maker import Authority, PlatformMaker

CHIP = bytes(range(64))
OTHER_CHIP = bytes(range(64, 128))
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
# Long enough for a busy machine where an answer comes; short where none does.
PATIENT = KeyServiceLimits()
SHORT = KeyServiceLimits(connect_seconds=5, silence_seconds=0.02, total_seconds=5, tries=2)


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A state folder that is nobody's."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch, home):
    """No proxy, no mirror and no cache of whoever runs the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("WATCHWORD_KEY_SERVICE", raising=False)
    monkeypatch.setenv("WATCHWORD_HOME", str(home))


def roots_of(authority, generation="made-up"):
    ark, ask = AmdCertificate.parse(authority.ark), AmdCertificate.parse(authority.ask)
    return (RootKeys(generation, ark, ask),)


@pytest.fixture(scope="session")
def authority():
    """A made-up AMD."""
    return Authority.make()


@pytest.fixture(scope="session")
def forger():
    """Somebody else with the same key ids."""
    return Authority.make()


@pytest.fixture(scope="session")
def roots(authority):
    """The made-up AMD's keys, in the place of the built-in ones."""
    return roots_of(authority)


@pytest.fixture(scope="session")
def platform(authority):
    return PlatformMaker(authority)


@pytest.fixture(scope="session")
def cek(platform):
    """What the key service answers."""
    return platform.cek()


@pytest.fixture(scope="session")
def host_cek(platform):
    """The same key as a host hands it out."""
    return platform.cek(signed=False)


@pytest.fixture(scope="session")
def other_cek(authority):
    """Another chip's, as well signed."""
    return PlatformMaker(authority, chip="chip 2").cek()


@pytest.fixture(scope="session")
def wrong_bodies(platform, forger, cek, host_cek, other_cek):
    """What a key service must not be believed, by the flaw that is named."""
    return {
        "truncated": cek[:-1],
        "too-long": cek + b"\0",
        "web-page": b"<!DOCTYPE html><title>Log in</title>",
        "not-a-certificate": b"\2" + cek[1:],
        "not-a-cek": platform.pek(),
        "other-key": other_cek,
        "unsigned": host_cek,
        "bad-signature": PlatformMaker(forger).cek(),
    }


class Pauses:
    """Waits for nothing and remembers how long it should have waited."""

    def __init__(self):
        self.seconds = []

    async def __call__(self, seconds):
        self.seconds.append(seconds)


@pytest.fixture
def pauses():
    return Pauses()


@pytest.fixture
def client(roots, pauses):
    """Makes clients of a server, or of a base URL."""

    def make(server, limits=PATIENT, **options):
        base = server if isinstance(server, str) else server.base
        options = {"pause": pauses, "now": lambda: NOW} | options
        return KeyService(key_service_address(base), roots, limits=limits, **options)

    return make
