# SPDX-License-Identifier: Apache-2.0
"""Launch measurements and reports in the forms in which programs print them."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.measurement_files import ToldMeasurement, read_told
from watchword.core.sev.peer_names import kind_by_name, known_field

from .conftest import outcome

MEASURED = bytes(range(128, 176))
REPORT = bytes([200]) * 208
VERSION = FirmwareVersion(1, 55, 24)
QUERY_SEV = {"api-major": 1, "api-minor": 55, "build-id": 24, "policy": 47, "state": "x"}


def b64(data):
    return base64.b64encode(data).decode()


def told(text):
    return read_told(text if isinstance(text, bytes) else text.encode(), "FILE")


def refusal(text):
    error = outcome(told, text)
    assert isinstance(error, BadInput), error
    return error


@pytest.mark.parametrize(
    "text",
    [
        MEASURED,
        b64(MEASURED),
        b64(MEASURED) + "\n",
        base64.encodebytes(MEASURED),
        json.dumps({"return": {"data": b64(MEASURED)}, "id": "x"}),
        json.dumps({"data": b64(MEASURED)}),
    ],
)
def test_a_bare_measurement_tells_nothing_else(text):
    assert told(text) == ToldMeasurement(MEASURED, None, None, None)


@pytest.mark.parametrize("text", [REPORT, b64(REPORT), json.dumps({"data": b64(REPORT)})])
def test_a_report_is_told_by_its_size(text):
    assert told(text) == ToldMeasurement(None, None, None, REPORT)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(
            {
                "measurement": b64(MEASURED),
                "apiMajor": 1,
                "apiMinor": 55,
                "buildID": 24,
                "policy": 47,
                "loaderSHA": "ab" * 32,
            },
            indent=2,
        ),
        (
            f"sev-measurement: {b64(MEASURED)}\nsev-api-major  : 1\nsev-api-minor  : 55\n"
            "sev-build-id   : 24\nsev-policy     : 47\n\n"
        ),
        json.dumps({"return": {"data": b64(MEASURED)}}) + "\n" + json.dumps({"return": QUERY_SEV}),
        json.dumps({"QMP": {"version": {}}})
        + "\n"
        + json.dumps({"return": QUERY_SEV})
        + "\r\n\n"
        + json.dumps({"return": {"data": b64(MEASURED)}})
        + "\n",
    ],
    ids=["virtctl", "virsh", "QMP", "a QMP session"],
)
def test_what_stands_beside_a_measurement_is_told(text):
    assert told(text) == ToldMeasurement(MEASURED, VERSION, 47, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "ab" * 32,
        "hello",
        b64(MEASURED[:-1]),
        b64(MEASURED) + "AAAA",
        MEASURED[:-1],
        json.dumps({"data": b64(REPORT[:-1])}),
        json.dumps({"measurement": 5}),
        json.dumps({"measurement": b64(REPORT)}),
        json.dumps({"data": b64(MEASURED), "measurement": b64(MEASURED[::-1])}),
        json.dumps({"data": b64(MEASURED), "apiMajor": 1}),
        json.dumps({"data": b64(MEASURED), "apiMajor": True, "apiMinor": 1, "buildID": 1}),
        json.dumps({"data": b64(MEASURED), "apiMajor": 256, "apiMinor": 1, "buildID": 1}),
        json.dumps({"data": b64(MEASURED), "policy": 2**32}),
        json.dumps({"data": b64(MEASURED), "policy": -1}),
        "{" * 40,
        "-----BEGIN CERTIFICATE-----",
        ("{}\n" * 100),
        b"A" * 70_000,
    ],
)
def test_what_is_no_measurement_or_contradicts_itself_is_refused(text):
    refusal(text)


def test_a_mac_in_hex_is_named_as_such():
    assert refusal("ab" * 32).code == "measurement-in-hex"


@pytest.mark.parametrize("name", ["api-major", "apiMajor", "sev-api-major", "API_MAJOR"])
def test_one_field_has_one_name_however_it_is_spelt(name):
    assert known_field(name) == "api-major"


def test_names_of_files_say_what_they_are():
    names = {
        "pdh_out.cert": "chain",
        "certs_export.zip": "chain",
        "tmp_tk.bin": "tk",
        "vm1_domlaunchsecinfo.txt": "measurement",
        "calc_measurement_out.bin": "measurement",
        "attestation_report.bin": "report",
        "pek_readable.txt": None,
        "notes": None,
    }
    assert {name: kind_by_name(name) for name in names} == names


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_file_is_read_or_refused_in_words(content):
    found = outcome(read_told, content, "FILE")
    assert isinstance(found, ToldMeasurement | BadInput)


@given(
    st.dictionaries(
        st.sampled_from(["data", "measurement", "apiMajor", "api-minor", "build", "policy", "x"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=70) | st.just(b64(MEASURED)),
    )
)
def test_any_json_is_read_or_refused_in_words(answer):
    found = outcome(read_told, json.dumps(answer).encode(), "FILE")
    assert isinstance(found, ToldMeasurement | BadInput)
