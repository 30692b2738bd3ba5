# SPDX-License-Identifier: Apache-2.0
"""What counts as signed by AMD, and that nobody else makes such a value."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.amd.roots import amd_roots
from watchword.core.amd.signed_certificates import (
    Flaw,
    Refusal,
    SignedCek,
    judge_ask_ark,
    judge_cek,
)

from ..sev.chain_maker import PlatformMaker
from .conftest import roots_of


def test_the_generation_is_told_by_the_ask_that_signed(authority, forger, cek):
    several = roots_of(forger, "one") + roots_of(authority, "two")
    found = judge_cek(cek, several)
    assert (found.generation, found.data, found.body) == ("two", cek, cek[:0x414])
    assert found.fingerprint in repr(found)


def test_a_real_cek_is_of_naples_and_no_longer_so_after_one_flip(vectors):
    real = (vectors / "chains/naples/cek.cert").read_bytes()
    assert judge_cek(real, amd_roots()).generation == "naples"
    for place in (5, 0x20, 0x413, 0x420):
        flipped = bytearray(real)
        flipped[place] ^= 0x80
        assert isinstance(judge_cek(bytes(flipped), amd_roots()), Refusal)


def test_no_built_in_ask_signed_a_made_up_cek(cek):
    assert judge_cek(cek, amd_roots()).flaw is Flaw.BAD_SIGNATURE
    assert judge_cek(cek, ()).flaw is Flaw.BAD_SIGNATURE


def test_another_key_is_named_before_its_signature(authority, forger, host_cek):
    foreign = PlatformMaker(forger, chip="chip 9").cek()
    assert judge_cek(foreign, roots_of(authority), host_cek).flaw is Flaw.OTHER_KEY


def test_all_0x414_bytes_are_compared(roots, cek, host_cek):
    for place in (0, 5, 0x10, 0x413):
        other = bytearray(host_cek)
        other[place] ^= 1
        assert judge_cek(cek, roots, bytes(other)).flaw is Flaw.OTHER_KEY
    beyond = bytearray(host_cek)
    beyond[0x414] ^= 1
    assert isinstance(judge_cek(cek, roots, bytes(beyond)), SignedCek)
    assert judge_cek(cek, roots, b"").flaw is Flaw.OTHER_KEY


def test_a_signed_cek_is_made_by_verifying_alone(roots, cek):
    found = judge_cek(cek, roots)
    with pytest.raises(TypeError):
        SignedCek(object(), cek, "made-up")
    with pytest.raises(TypeError):
        found.data = bytes(2084)
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            attempt(found)


@settings(max_examples=40)
@given(data=st.binary(max_size=4000) | st.binary(min_size=2084, max_size=2084))
def test_any_bytes_are_refused_with_a_reason(data):
    judged = judge_cek(data, amd_roots()[:1])
    assert isinstance(judged, Refusal)
    assert judged.words


@settings(max_examples=40)
@given(head=st.binary(max_size=80), size=st.integers(0, 4000))
def test_any_bytes_are_no_ask_and_ark(head, size):
    keys = amd_roots()[0]
    assert judge_ask_ark((head + keys.ask.build()[len(head) :]).ljust(size, b"\0"), keys)
