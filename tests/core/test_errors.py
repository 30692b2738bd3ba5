# SPDX-License-Identifier: Apache-2.0
"""Errors: one object for window, text and JSON, with an exit status that programs can rely on."""

from __future__ import annotations

import json

import pytest

from watchword.core import errors
from watchword.core.errors import BadInput, ExitStatus, VerificationRefused, WatchwordError


def every_error(kind=WatchwordError):
    yield kind
    for child in kind.__subclasses__():
        yield from every_error(child)


def test_exit_statuses_are_the_published_numbers():
    assert {status.name: int(status) for status in ExitStatus} == {
        "OK": 0,
        "UNEXPECTED": 1,
        "USAGE": 2,
        "REFUSED": 3,
        "HOST": 4,
        "VAULT": 5,
        "BAD_INPUT": 6,
        "BATCH_PARTLY_FAILED": 7,
        "WAIVED": 8,
        "WAITING": 9,
        "INTERRUPTED": 130,
    }


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.WatchwordError, 1),
        (errors.UsageError, 2),
        (errors.VerificationRefused, 3),
        (errors.HostError, 4),
        (errors.VaultError, 5),
        (errors.BadInput, 6),
        (errors.AnswerPending, 9),
    ],
)
def test_each_kind_has_its_exit_status(kind, status):
    assert kind.exit_status == status


def test_json_has_the_published_fields_and_can_be_written():
    error = VerificationRefused("a-code", "Title", "Message.", "Remedy.", {"number": 5})
    assert json.loads(json.dumps(error.as_json())) == {
        "code": "a-code",
        "title": "Title",
        "message": "Message.",
        "remedy": "Remedy.",
        "details": {"number": 5},
    }
    assert str(error) == "Title: Message."


def test_bad_input_names_its_field_in_title_and_details():
    error = BadInput("a-code", "--tik", "Message.", "Remedy.", {"size": 3})
    assert error.title == "Can't use --tik"
    assert error.field == "--tik"
    assert error.as_json()["details"] == {"field": "--tik", "size": 3}


def test_details_are_the_errors_own_and_can_not_be_changed():
    details = {"a": 1}
    error = WatchwordError("a-code", "Title", "Message.", "Remedy.", details)
    details["a"] = 2
    assert error.details["a"] == 1
    with pytest.raises(TypeError):
        error.details["a"] = 3
    error.as_json()["details"]["a"] = 4
    assert error.details["a"] == 1


def test_an_error_without_details_has_none():
    assert WatchwordError("a-code", "Title", "Message.", "Remedy.").as_json()["details"] == {}


def test_every_kind_is_caught_as_the_one_tree():
    kinds = {kind for kind in every_error() if kind.__module__ == errors.__name__}
    assert len(kinds) == 7
    assert all(issubclass(kind, WatchwordError) for kind in kinds)
    assert all(not issubclass(kind, (ValueError, OSError)) for kind in kinds)
