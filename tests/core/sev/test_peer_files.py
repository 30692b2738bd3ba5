# SPDX-License-Identifier: Apache-2.0
"""Files of a launch told apart by content and size, and by name where these don't tell."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.secret import Secret
from watchword.core.sev import peer_files, secret_packet, secret_table, session
from watchword.core.sev.chain import PlatformCertificates
from watchword.core.sev.peer_files import (
    GivenFile,
    is_key_size,
    is_owners_certificate,
    recognise_files,
)
from watchword.core.sev.peer_names import Kind

from . import chain_maker as raw
from .conftest import outcome

KEYS = hashlib.sha256(b"transport keys").digest()
SESSION = bytes(range(128))
HEADER = bytes(4) + bytes(range(1, 49))
PAYLOAD = bytes(range(64))


def b64(data):
    return base64.b64encode(data)


def given_file(name, content, kind=None):
    if is_key_size(len(content)):
        content = Secret(content)
    return GivenFile(name, content, kind)


def files(*named, **kinds):
    found = recognise_files(given_file(name, content, kinds.get("kind")) for name, content in named)
    return found.files


def refusal(*named, kind=None):
    error = outcome(recognise_files, [given_file(name, data, kind) for name, data in named])
    assert isinstance(error, BadInput), error
    return error


def shown(secret):
    with secret.reveal() as view:
        return bytes(view)


@pytest.fixture(scope="module")
def godh():
    """An owner's certificate as sevctl makes it: without signatures."""
    return raw.sev_body(raw.PDH, raw.ec_area(raw.ec_key("godh")), algorithm=raw.ECDH) + (
        raw.EMPTY_SLOT * 2
    )


@pytest.fixture(scope="module")
def godh_of_sev_tool():
    """An owner's certificate as sev-tool makes it: signed with its own key, as if by a PEK."""
    key = raw.ec_key("godh")
    body = raw.sev_body(raw.PDH, raw.ec_area(key), algorithm=raw.ECDH)
    return body + raw.ecdsa_slot(raw.PEK, key, body) + raw.EMPTY_SLOT


# -- GODH and PDH ------------------------------------------------------------------------


def test_an_owners_certificate_is_told_from_a_platforms(godh, godh_of_sev_tool, made):
    assert is_owners_certificate(godh)
    assert is_owners_certificate(godh_of_sev_tool)
    for role in ("pdh", "pek", "oca", "cek"):
        assert not is_owners_certificate(made[role])
    assert not is_owners_certificate(bytes(2084))
    assert not is_owners_certificate(godh[:-1])


def test_real_certificates_are_told_apart(vectors):
    assert is_owners_certificate((vectors / "godh_naples.cert").read_bytes())
    for chain in ("chains/naples", "fake-platform"):
        assert not is_owners_certificate((vectors / chain / "pdh.cert").read_bytes())


def test_an_unsigned_pdh_is_one_if_its_name_says_so(godh):
    assert files(("vm_pdh.cert", godh)).certificates.pdh == godh
    assert files(("x.cert", godh)).godh == godh


@pytest.mark.parametrize("form", [bytes, b64, base64.encodebytes])
@pytest.mark.parametrize("name", ["godh.cert", "vm1_godh.b64", "vm1_dhCert.b64", "whatever"])
def test_godh_in_any_form(godh, form, name):
    found = files((name, form(godh)))
    assert (found.godh, found.certificates) == (godh, PlatformCertificates())


# -- the rest of a launch ----------------------------------------------------------------


@pytest.mark.parametrize("form", [bytes, b64, base64.encodebytes])
@pytest.mark.parametrize(
    ("data", "part", "names"),
    [
        (SESSION, "session", ["launch_blob.bin", "vm_session.b64", "x"]),
        (HEADER, "header", ["packaged_secret_header.bin", "header.b64", "secret-header.b64", "x"]),
        (PAYLOAD, "payload", ["packaged_secret.bin", "vm_payload.b64", "secret.b64"]),
        (bytes(128), "payload", ["payload.bin"]),
        (bytes(2084), "payload", ["secret.bin"]),
    ],
)
def test_launch_material_by_size_and_name(form, data, part, names):
    for name in names:
        assert getattr(files((name, form(data))), part) == data


@pytest.mark.parametrize("name", ["tmp_tk.bin", "x.bin", "vm_tk"])
def test_both_keys_in_one_file(name):
    found = files((name, KEYS))
    assert (shown(found.tek), shown(found.tik)) == (KEYS[:16], KEYS[16:])


def test_each_key_in_a_file():
    found = files(("vm1_tek.bin", KEYS[:16]), ("dir_tek/vm1_tik.bin", KEYS[16:]))
    assert (shown(found.tek), shown(found.tik)) == (KEYS[:16], KEYS[16:])
    assert shown(files(("x", KEYS[:16]), kind=Kind.TIK).tik) == KEYS[:16]


def test_short_payloads_are_told_by_name_or_kind():
    assert files(("payload.bin", KEYS[:16])).payload == KEYS[:16]
    assert files(("x", KEYS), kind=Kind.PAYLOAD).payload == KEYS


def test_a_payload_that_kvm_refuses_is_warned_of():
    for size in (23, 16400):
        found = recognise_files([GivenFile("packaged_secret.bin", bytes([255]) * size)])
        assert f"{size} bytes" in found.warnings[0]
    assert recognise_files([GivenFile("payload", PAYLOAD)]).warnings == ()


def test_a_chain_in_any_layout_goes_through(made):
    chain = b"".join(made[role] for role in ("pdh", "pek", "oca", "cek"))
    expected = PlatformCertificates(**{role: made[role] for role in ("pdh", "pek", "oca", "cek")})
    table = f"pdh : {b64(made['pdh']).decode()}\n".encode()
    assert files(("x", chain)).certificates == expected
    assert files(("x.b64", b64(chain))).certificates == expected
    assert files(("x.txt", table)).certificates.pdh == made["pdh"]


@pytest.mark.parametrize(
    "keys",
    [
        ("dhCert", "session", "header", "secret"),
        ("dh-cert", "session", "packet-header", "secret"),
        ("dhCert", "session", "sev-secret-header", "sev-secret"),
    ],
)
def test_the_json_of_other_programs(godh, made, keys):
    values = (godh, SESSION, HEADER, PAYLOAD)
    answer = {key: b64(value).decode() for key, value in zip(keys, values, strict=True)}
    answer["pdh"] = b64(made["pdh"]).decode()
    for value in (answer, {"return": answer}):
        found = files(("vm.json", json.dumps(value).encode()))
        assert (found.godh, found.session, found.header, found.payload) == values
        assert found.certificates.pdh == made["pdh"]


def test_what_each_file_was_is_told(godh, made):
    named = [("a", godh), ("b", made["pek"]), ("c", KEYS)]
    found = recognise_files(given_file(name, data) for name, data in named)
    assert found.read == (("a", "godh"), ("b", "chain"), ("c", "tk"))


def test_the_sizes_are_those_of_the_protocol():
    assert peer_files.KEY_SIZE == session.KEY_SIZE
    assert peer_files.HEADER_SIZE == secret_packet.HEADER_SIZE
    assert peer_files.KVM_LIMIT == secret_table.KVM_LIMIT
    assert session.LaunchBlob.parse(bytes(peer_files.SESSION_SIZE)).build() == bytes(128)


# -- refusals ----------------------------------------------------------------------------


def test_a_short_file_that_may_be_anything_is_asked_about():
    error = refusal(("x.bin", KEYS[:16]))
    assert error.code == "which-kind"
    assert "tek=x.bin" in error.remedy


@pytest.mark.parametrize(
    ("name", "data", "kind", "code"),
    [
        ("vm_tek.bin", KEYS, None, "wrong-size"),
        ("tmp_tk.bin", KEYS[:16], None, "wrong-size"),
        ("x", KEYS[:16], Kind.SESSION, "which-kind"),
        ("x", SESSION[:-1] + b"\xff" * 3, Kind.SESSION, "wrong-size"),
        ("launch_blob.bin", b"\xff" * 127, None, "wrong-size"),
        ("godh.cert", b"\xff" * 2083, None, "wrong-size"),
        ("x", b"\xff" * 300, None, "not-certificates"),
        ("x", b"", None, "unknown-file"),
        ("x", b"-----BEGIN CERTIFICATE-----", None, "pem-not-expected"),
        ("session.b64", b"?" * 172, None, "base64-junk"),
        ("x", b"just some text!", None, "base64-junk"),
        ("tek.b64", b64(KEYS[:16]), None, "keys-in-text"),
        ("x.b64", b64(KEYS), None, "keys-in-text"),
        ("x.json", b"{", None, "bad-json"),
        ("x.json", b"{}", None, "not-certificates"),
        ("x.json", b'{"session": 5}', None, "unknown-file"),
        ("x.json", b'{"session": "AAAA"}', None, "wrong-size"),
    ],
)
def test_files_that_are_nothing_known_are_refused(name, data, kind, code):
    assert refusal((name, data), kind=kind).code == code


def test_files_that_contradict_each_other_are_refused(godh, godh_of_sev_tool):
    assert files(("a", SESSION), ("b", b64(SESSION))).session == SESSION
    assert refusal(("a", SESSION), ("b", SESSION[::-1])).code == "ambiguous-files"
    assert refusal(("a", godh), ("b", godh_of_sev_tool)).code == "ambiguous-files"
    assert refusal(("a", KEYS), ("vm_tik.bin", KEYS[16:])).code == "ambiguous-files"


def test_keys_are_wiped_when_another_file_is_refused():
    secret = Secret(KEYS)
    half = Secret(KEYS[:16])
    given_ = [GivenFile("vm_tek.bin", half), GivenFile("x", secret), GivenFile("y", b"")]
    assert outcome(recognise_files, given_).code == "ambiguous-files"
    assert half.wiped
    assert secret.wiped


def test_no_message_holds_key_bytes():
    for name in ("x.bin", "vm_header.bin", "vm_tik"):
        for size in (16, 32):
            error = outcome(recognise_files, [given_file(name, KEYS[:size])])
            text = repr(vars(error)) if isinstance(error, BadInput) else repr(error)
            assert KEYS[:4].decode("latin-1") not in text
            assert KEYS[:4].hex() not in text


@given(st.text(max_size=20), st.binary(max_size=3000), st.sampled_from([None, *Kind]))
def test_any_file_is_recognised_or_refused(name, data, kind):
    found = outcome(recognise_files, [given_file(name, data, kind)])
    assert isinstance(found, BadInput) or found.read


@given(st.text(max_size=60), st.sampled_from([None, *Kind]))
def test_any_text_is_recognised_or_refused(text, kind):
    outcome(recognise_files, [given_file("x", text.encode(), kind)])
    outcome(recognise_files, [given_file("x", b"{" + text.encode(), kind)])
