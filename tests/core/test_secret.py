# SPDX-License-Identifier: Apache-2.0
"""Secret bytes: lent, wiped, and never shown, compared, copied or pickled."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import logging
import pickle
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import UsageError
from watchword.core.secret import Secret

MARK = b"Marker-7f-of-a-secret!"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@settings(max_examples=40)
@given(data=st.binary(max_size=100))
def test_what_went_in_is_lent_out(kind, data):
    secret = Secret(kind(data))
    assert len(secret) == len(data)
    with secret.reveal() as view:
        assert bytes(view) == data
        assert view.readonly


def test_the_secret_is_a_copy_of_its_own():
    source = bytearray(MARK)
    secret = Secret(source)
    source[:] = bytes(len(source))
    with secret.reveal() as view:
        assert bytes(view) == MARK


def test_the_view_can_not_be_written():
    with Secret(MARK).reveal() as view, pytest.raises(TypeError):
        view[0] = 0


def test_the_view_is_released_at_the_end_of_the_block():
    with Secret(MARK).reveal() as view:
        pass
    with pytest.raises(ValueError, match="released"):
        bytes(view)


def test_the_view_is_released_when_the_block_fails():
    with pytest.raises(ZeroDivisionError), Secret(MARK).reveal() as view:
        1 / 0  # noqa: B018  # any failure will do
    with pytest.raises(ValueError, match="released"):
        bytes(view)


def test_wiping_overwrites_the_very_buffer():
    secret = Secret(MARK)
    buffer = secret._data
    secret.wipe()
    assert buffer == bytes(len(MARK))
    assert secret.wiped
    assert len(secret) == 0


def test_a_view_that_is_out_sees_the_zeros():
    secret = Secret(MARK)
    with secret.reveal() as view:
        part = view[3:9]
        secret.wipe()
        assert bytes(view) == bytes(len(MARK))
        assert bytes(part) == bytes(6)


def test_a_wiped_secret_is_lent_to_nobody_and_may_be_wiped_again():
    secret = Secret(MARK)
    secret.wipe()
    secret.wipe()
    with pytest.raises(UsageError) as caught, secret.reveal():
        pass
    assert caught.value.code == "secret-wiped"


def test_an_empty_secret_is_not_a_wiped_one():
    secret = Secret(b"")
    assert not secret.wiped
    with secret.reveal() as view:
        assert len(view) == 0


@pytest.mark.parametrize(
    "comparison",
    [
        lambda secret: secret == Secret(MARK),
        lambda secret: secret != Secret(MARK),
        lambda secret: secret == MARK,
        lambda secret: MARK == secret,  # noqa: SIM300  # the reflected comparison is the point
        lambda secret: Secret(MARK) in [secret],
        lambda secret: secret < Secret(MARK),
        hash,
        lambda secret: {secret},
        lambda secret: {secret: 1},
    ],
)
def test_secrets_are_neither_compared_nor_hashed(comparison):
    with pytest.raises(TypeError):
        comparison(Secret(MARK))


@pytest.mark.parametrize(
    "copier",
    [
        copy.copy,
        copy.deepcopy,
        lambda secret: copy.deepcopy({"a": [secret]}),
        *(lambda secret, p=p: pickle.dumps(secret, p) for p in range(pickle.HIGHEST_PROTOCOL + 1)),
        json.dumps,
        bytes,
        iter,
        memoryview,
    ],
)
def test_secrets_are_neither_copied_nor_pickled_nor_serialised(copier):
    with pytest.raises(TypeError):
        copier(Secret(MARK))


@dataclasses.dataclass
class Holder:
    """Something that has a secret among its fields."""

    secret: Secret


def shown(secret, caplog):
    """All the ways in which text is made of an object."""
    holder = Holder(secret)
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").info("%s %r %s", secret, secret, holder)
    yield caplog.text
    yield from (repr(secret), str(secret), f"{secret}", f"{secret:>40}", f"{secret!r:.5}")
    yield from ("%s" % secret, "{}".format(secret), repr([secret]), repr(holder))  # noqa: UP031, UP032
    yield repr(dir(secret))
    for action in (dataclasses.asdict, dataclasses.astuple, copy.copy, hash):
        try:
            action(holder)
            action(secret)
        except TypeError:
            yield traceback.format_exc()


def test_no_text_of_a_secret_shows_its_bytes(caplog):
    for text in shown(Secret(MARK), caplog):
        for form in (MARK.decode(), MARK.hex(), base64.b64encode(MARK).decode(), str(list(MARK))):
            assert form not in text
        assert "Marker" not in text
