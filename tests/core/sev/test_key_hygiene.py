# SPDX-License-Identifier: Apache-2.0
"""No text that the protocol's objects and errors can make shows a key or a secret, in any form."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import traceback
from uuid import UUID

import pytest

from watchword.core.errors import WatchwordError
from watchword.core.secret import Secret
from watchword.core.sev.advisories import Advisories, Advisory
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.measurement import (
    ReportedMeasurement,
    compute_measurement,
    verify_measurement,
)
from watchword.core.sev.policy import DEFAULT_POLICY, approve_policy
from watchword.core.sev.secret_packet import seal
from watchword.core.sev.secret_table import (
    SecretEntry,
    TestSecretEntry,
    build_table,
    check_entries,
    parse_table,
    with_trailing_nul,
)
from watchword.core.sev.session import SessionRandomness, adopt_session, create_session

from . import firmware_side
from .conftest import requirements

GOOD = FirmwareVersion(1, 55, 21)
DIGEST, NONCE = b"\x11" * 32, b"n" * 16
VALUE = b"Correct-Horse-Battery-Staple"


def random():
    """Distinct bytes for each draw, as from a real source."""
    count = 0

    def draw(size):
        nonlocal count
        count += 1
        return hashlib.shake_128(b"marker %d" % count).digest(size)

    return draw


def forms(name, data):
    """The ways in which bytes show up in text."""
    yield name, "raw", data.decode("latin-1")
    yield name, "repr", repr(data)[2:-1]
    yield name, "hex", data.hex()
    yield name, "numbers", ", ".join(map(str, data))
    for shift in range(3):
        # Whatever stands before it, base64 of the middle stays the same.
        text = base64.b64encode(bytes(shift) + data).decode()
        yield name, f"base64 {shift}", text[4:-4]
    yield name, "number", str(int.from_bytes(data, "big"))
    yield name, "little-endian number", str(int.from_bytes(data, "little"))


def leaks(text, keys):
    folded = text.lower()
    return [
        (name, form)
        for name, data in keys.items()
        for name, form, shown in forms(name, data)
        if shown.lower() in folded
    ]


def texts_of(thing):
    yield from (repr(thing), str(thing), f"{thing}", f"{thing!s:>80}", repr([thing]))
    if isinstance(thing, BaseException):
        yield repr(thing.args)
        yield "".join(traceback.format_exception(thing))
    if isinstance(thing, WatchwordError):
        yield repr(thing.as_json())
        yield repr(vars(thing))


def shown(thing, keys):
    """What leaks when an object is shown, and logged."""
    logging.getLogger("anything").debug("%s %r", thing, thing)
    return [leak for text in texts_of(thing) for leak in leaks(text, keys)]


@contextlib.contextmanager
def collecting(things, kind=WatchwordError):
    """Runs code that must fail, and keeps the error with what it came from."""
    with pytest.raises(kind) as caught:
        yield
    error = caught.value
    while error is not None:
        things.append(error)
        error = error.__cause__ or error.__context__


@pytest.fixture
def launch(verified_platform, maker):
    """A session with all that is secret in it, by name."""
    made = SessionRandomness.draw(random())
    session, material = create_session(verified_platform, approve_policy(DEFAULT_POLICY), made)
    policy = DEFAULT_POLICY.value
    opened = firmware_side.unwrap(
        maker.key("pdh"), material.godh.build(), material.blob.build(), policy
    )
    scalar = made.godh.private_numbers().private_value
    keys = {**vars(opened), "godh": scalar.to_bytes(48, "big"), "value": VALUE}
    return made, session, material, keys


def test_the_search_finds_a_leak():
    keys = {"tek": bytes(range(100, 116))}
    for _, _, shown in forms("tek", keys["tek"]):
        assert leaks(f"before {shown.upper()} after", keys)
    assert not leaks("before after", keys)


def test_objects_of_a_launch_show_no_key(launch, measured, caplog):
    made, session, material, keys = launch
    verified = measured(session)
    entries = [SecretEntry(UUID(int=1), Secret(VALUE)), TestSecretEntry(UUID(int=2), Secret(VALUE))]
    table = build_table(entries)
    with table.reveal() as view:
        parsed = parse_table(bytes(view))
    things = [made, session, session.policy, session.platform, material, verified, *entries]
    things += [table, parsed, with_trailing_nul(Secret(VALUE)), session.tek, session.tik]
    caplog.set_level(logging.DEBUG)
    for thing in things:
        assert shown(thing, keys) == []
    # Sealing erases the keys, so that nothing could show them any more.
    packet = seal(verified, entries, b"v" * 16, None)
    assert shown(packet, keys) == []
    assert len(caplog.records) == len(things) + 1
    assert leaks(caplog.text, keys) == []


def test_refused_measurements_show_no_key(launch, measured):
    _, session, _, keys = launch
    things = []

    def attempt(reported, version=GOOD, required=None, **options):
        with collecting(things):
            verify_measurement(
                session, reported, version, [DIGEST], required or requirements(), **options
            )

    def answer(version):
        policy = DEFAULT_POLICY.value
        return ReportedMeasurement(
            compute_measurement(session.tik, version, policy, DIGEST, NONCE), NONCE
        )

    old, bad = FirmwareVersion(0, 16, 1), FirmwareVersion(0, 17, 1)
    known = Advisory("x", "2019", "s", "y", api_major=0, api_minor=17, first_good_build=2)
    attempt(ReportedMeasurement(bytes(32), NONCE))
    attempt(answer(GOOD), seen_nonces=[NONCE])
    attempt(answer(old), old)
    attempt(answer(bad), bad, requirements(advisories=Advisories("2026-11-23", (known,))))
    session.abandon()
    attempt(ReportedMeasurement(bytes(32), NONCE))
    assert len({thing.code for thing in things}) == 5
    for thing in things:
        assert shown(thing, keys) == []


def test_refused_packets_and_keys_show_no_secret(launch, foreign_platform, measured):
    made, session, _, keys = launch
    things = []
    entry = SecretEntry(UUID(int=1), Secret(VALUE))
    verified = measured(session)
    with collecting(things):
        seal(verified, [entry], b"v" * 16, 32)
    with collecting(things):
        seal(verified, [entry, entry], b"v" * 16, None)
    with collecting(things, ValueError):
        seal(verified, [entry], b"", None)
    foreign, _ = create_session(foreign_platform, approve_policy(DEFAULT_POLICY), made)
    with collecting(things):
        seal(measured(foreign), [entry], b"v" * 16, None)
    with collecting(things):
        check_entries([SecretEntry(UUID(int=0), Secret(VALUE))], None)
    with collecting(things):
        adopt_session(Secret(VALUE), Secret(VALUE), approve_policy(DEFAULT_POLICY), None)
    with collecting(things):
        parse_table(VALUE)
    seal(verified, [entry], b"v" * 16, None)
    with collecting(things):
        seal(verified, [entry], b"v" * 16, None)
    assert len(things) >= 8
    for thing in things:
        assert shown(thing, keys) == []
