# SPDX-License-Identifier: Apache-2.0
"""Files that are no documents, or bad ones on purpose: refused in words, whatever they hold."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchword.core.errors import BadInput, WatchwordError
from watchword.core.evidence.envelope import open_envelope
from watchword.core.evidence.verify import verify_evidence

from . import made
from .made import canonical, seal_by_hand, trust


def code_of(data):
    with pytest.raises(WatchwordError) as caught:
        open_envelope(data, "launch.json")
    assert caught.value.exit_status in (3, 6)
    return caught.value.code


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"payload":"","payloadType":"x","signatures":[]}',
        b'{"payload":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"9" * 100_000,
        b"NaN",
        b'"\\ud800"',
    ],
)
def test_what_is_no_envelope_is_bad_input(data):
    assert code_of(data) in ("bad-evidence", "bad-json", "json-too-deep", "other-evidence")


def test_a_name_that_is_there_twice_is_refused(plain_document):
    text = plain_document.decode()
    assert code_of(text.replace("{", '{"payload":"",', 1).encode()) == "bad-evidence"
    payload = made.payload_of(plain_document).decode()
    for twice in (
        payload.replace('"simulated":true', '"simulated":false,"simulated":true'),
        payload.replace('"simulated":true', '"simulated":true,"simulated":true'),
        payload.replace('"host":', '"host":null,"host":', 1),
    ):
        assert twice != payload
        assert code_of(seal_by_hand(twice.encode())) == "bad-evidence"


def test_one_statement_has_one_spelling(plain_document):
    whole = json.loads(made.payload_of(plain_document))
    for other in (
        json.dumps(whole).encode(),
        canonical(whole) + b"\n",
        canonical(whole).replace(b'"simulated":true', b'"simulated": true'),
        canonical(whole).replace(b"watchword ", b"watchword\\u0020"),
    ):
        assert code_of(seal_by_hand(other)) == "bad-evidence"


def test_an_envelope_is_what_dsse_says_and_nothing_else(plain_document):
    envelope = json.loads(plain_document)
    signature = envelope["signatures"][0]
    for change in (
        {"signatures": []},
        {"signatures": [signature, signature]},
        {"signatures": [{"sig": signature["sig"]}]},
        {"signatures": [{**signature, "more": 1}]},
        {"signatures": [{**signature, "sig": 7}]},
        {"signatures": "x"},
        {"payload": 7},
        {"payload": envelope["payload"].rstrip("=") + "\n"},
        {"payload": envelope["payload"] + "!"},
        {"payload": envelope["payload"][:8] + "\n" + envelope["payload"][8:]},
        {"payload": envelope["payload"].replace("a", "_")},
        {"more": 1},
    ):
        assert code_of(canonical({**envelope, **change})) in ("bad-evidence", "evidence-signature")
    for kind in ("", "application/json", made.PAYLOAD_TYPE.upper()):
        assert code_of(canonical({**envelope, "payloadType": kind})) == "other-evidence"


def test_layout_of_the_envelope_does_not_matter(plain_document, keys):
    spread = json.dumps(json.loads(plain_document), indent=4).encode()
    assert verify_evidence(spread, trust(keys))


def test_another_predicate_or_a_later_one_is_named_as_such(plain_document):
    whole = json.loads(made.payload_of(plain_document))
    for kind in ("urn:watchword:sev-launch:2", "https://slsa.dev/provenance/v1", 7, None):
        document = seal_by_hand(canonical({**whole, "predicateType": kind}))
        assert code_of(document) == "other-evidence"


MISFITS = {
    "unknown key": lambda p: p.update(tik="00" * 16),
    "unknown key with a nasty name": lambda p: p.update({"<b>\x1b[2J" + "x" * 500: 1}),
    "missing key": lambda p: p.pop("host"),
    "number as text": lambda p: p["policy"].update(value="48"),
    "text as number": lambda p: p.update(host=7),
    "bool as number": lambda p: p["approved"].update(count=True),
    "fraction": lambda p: p["policy"].update(value=1.5),
    "negative": lambda p: p["policy"].update(value=-1),
    "33 bits": lambda p: p["policy"].update(value=1 << 32),
    "API over a byte": lambda p: p["processor"].update(api_major=256),
    "capital hex": lambda p: p["platform"].update(pdh_sha256="AB" * 32),
    "short hex": lambda p: p["measurement"].update(nonce="00"),
    "newline in hex": lambda p: p["measurement"].update(nonce="0" * 31 + "\n"),
    "time without zone": lambda p: p["launch"].update(begun="2026-11-23T14:00:00"),
    "time with other digits": lambda p: p["launch"].update(begun="٢٠٢٦-11-23T14:00:00Z"),
    "unknown outcome": lambda p: p.update(outcome="fine"),
    "unknown role": lambda p: p["platform"]["certificates"].update(vcek="AAAA"),
    "long text": lambda p: p.update(host="x" * 5000),
    "many secrets": lambda p: p.update(secrets=p["secrets"] * 65),
    "many warnings": lambda p: p.update(warnings=["w"] * 33),
    "guid": lambda p: p["secrets"][0].update(guid="{736869e5-84f0-4973-92ec-06879ce3da0b}"),
    "commitment that is none": lambda p: p.update(host={"commitment": "x"}),
    "commitment with more": lambda p: p.update(host={"commitment": "0" * 64, "salt": "0"}),
    "no base64": lambda p: p["platform"]["certificates"].update(pdh="AAA"),
    "loose base64": lambda p: p["platform"]["certificates"].update(pdh="AB=="),
    "short report": lambda p: p["report"].update(data="AAAA"),
}


@pytest.mark.parametrize("change", MISFITS.values(), ids=MISFITS)
def test_what_does_not_belong_there_is_named_and_never_repeated(plain_document, keys, change):
    document = made.forged(plain_document, change)
    with pytest.raises(BadInput) as caught:
        verify_evidence(document, trust(keys), field="launch.json")
    error = caught.value
    assert error.exit_status == 6
    assert len(error.message) < 300
    assert error.message.isprintable()
    assert "Traceback" not in error.message
    assert "pydantic" not in json.dumps(error.as_json())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["", "00" * 32, "00" * 16, "AAAA", "ok", "ark", "running", "refused"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def _places(value, place=()):
    yield place
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, (*place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _places(inner, (*place, number))


def judged(document, trusted):
    """The verdict, or the error of ours; any other goes through."""
    try:
        return verify_evidence(document, trusted)
    except WatchwordError as error:
        return error


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_value_at_any_place_is_judged_or_refused_in_our_words(
    plain_document, es_document, keys, data
):
    document = data.draw(st.sampled_from([plain_document, es_document]))
    whole = json.loads(made.payload_of(document))
    places = [place for place in _places(whole["predicate"]) if place and place[0] != "signer"]
    *path, last = data.draw(st.sampled_from(places))
    holder = whole["predicate"]
    for part in path:
        holder = holder[part]
    holder[last] = data.draw(JSON)
    sealed = seal_by_hand(
        json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
            "utf-8", "surrogatepass"
        )
    )
    found = judged(sealed, trust(keys))
    if isinstance(found, WatchwordError):
        assert found.exit_status in (3, 6)
    else:
        assert json.dumps(found.as_json())


@settings(max_examples=150)
@given(
    st.binary(max_size=400)
    | st.binary(max_size=60).map(
        lambda raw: canonical(
            {
                "payload": base64.b64encode(raw).decode(),
                "payloadType": made.PAYLOAD_TYPE,
                "signatures": [{"keyid": "", "sig": ""}],
            }
        )
    )
)
def test_any_bytes_are_refused_in_our_words(data):
    code_of(data)
