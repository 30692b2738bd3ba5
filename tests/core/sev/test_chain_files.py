# SPDX-License-Identifier: Apache-2.0
"""Certificates told apart by content, in whatever layout and order tools write them."""

from __future__ import annotations

import base64
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.sev.certificates import SevCertificate
from watchword.core.sev.chain import PlatformCertificates, examine_chain
from watchword.core.sev.chain_files import (
    LARGEST_FILE,
    RecognisedChain,
    fingerprint_pin,
    recognise,
)

from . import chain_maker as raw
from .conftest import outcome

CHIP = bytes(range(64))


def b64(data):
    return base64.b64encode(data).decode()


def one(content, name="chain.cert"):
    return recognise([(name, content)]).certificates


def join(files, *roles):
    return b"".join(files[role] for role in roles)


@pytest.fixture
def answer(made, maker):
    """What query-sev-capabilities says: the CEK of the host is unsigned."""
    chain = made["pek"] + made["oca"] + maker.cek(signed=False)
    return {
        "pdh": b64(made["pdh"]),
        "cert-chain": b64(chain),
        "cpu0-id": b64(CHIP),
        "cbitpos": 51,
        "reduced-phys-bits": 1,
    }


# -- layouts -----------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["ark", "ask", "cek", "oca", "pek", "pdh"])
@pytest.mark.parametrize("form", [bytes, base64.b64encode, base64.encodebytes])
def test_single_certificates_in_binary_and_base64(made, role, form):
    assert one(form(made[role])) == PlatformCertificates(**{role: made[role]})


@pytest.mark.parametrize(
    "roles",
    [
        ("pek", "oca", "cek"),
        ("pdh", "pek", "oca", "cek"),
        ("pdh", "pek", "oca", "cek", "ask", "ark"),
        ("ask", "ark"),
        ("ark", "ask", "cek", "oca", "pek", "pdh"),
    ],
)
def test_concatenations_in_any_order(made, roles):
    expected = PlatformCertificates(**{role: made[role] for role in roles})
    assert one(join(made, *roles)) == expected
    assert one(b64(join(made, *roles)).encode()) == expected
    assert one(join(made, *reversed(roles))) == expected


def test_a_full_export_may_end_with_the_unsigned_naples_root(made):
    found = one(join(made, "pdh", "pek", "oca", "cek", "ask") + made["ark"][:576])
    assert found.ark == made["ark"][:576]


def test_the_whole_root_is_taken_where_both_forms_are_given(made):
    for files in ([made["ark"], made["ark"][:576]], [made["ark"][:576], made["ark"]]):
        found = recognise((str(number), data) for number, data in enumerate(files))
        assert found.certificates.ark == made["ark"]


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"return": x, "id": "q-1"}])
def test_the_json_of_a_host(answer, made, wrap):
    found = one(json.dumps(wrap(answer), indent=2).encode())
    assert found.pdh == made["pdh"]
    assert found.chip_id == CHIP
    assert found.cek[:0x414] == made["cek"][:0x414]


@pytest.mark.parametrize("keys", [("certChain", "cpu0Id"), ("cert_chain", "cpu0_id")])
def test_the_names_that_other_programs_use(answer, made, keys):
    renamed = {"pdh": answer["pdh"], keys[0]: answer["cert-chain"], keys[1]: answer["cpu0-id"]}
    found = one(json.dumps(renamed).encode())
    assert (found.oca, found.chip_id) == (made["oca"], CHIP)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_table_of_virsh_nodesevinfo(answer, made, end):
    text = end.join(f"{key:<18}: {value}" for key, value in answer.items()) + 2 * end
    found = one(text.encode())
    assert (found.pdh, found.pek, found.chip_id) == (made["pdh"], made["pek"], CHIP)


def test_an_unsigned_cek_is_replaced_by_amds_copy_and_kept_beside_it(answer, made, maker):
    files = [("host.json", json.dumps(answer).encode()), ("cek.cert", made["cek"])]
    for order in (files, files[::-1]):
        found = recognise(order).certificates
        assert found.cek == made["cek"]
        assert found.cek_from_host == maker.cek(signed=False)


def test_copies_of_a_cek_that_differ_in_their_signature_alone_are_one(made, maker):
    again = maker.cek()
    assert again != made["cek"]
    found = recognise([("a", made["cek"]), ("b", again)]).certificates
    assert found.cek in (made["cek"], again)


def test_the_same_certificate_twice_is_no_contradiction(made):
    files = [("chain.cert", join(made, "pdh", "pek", "oca", "cek")), ("pdh.cert", made["pdh"])]
    assert recognise(files).certificates.pdh == made["pdh"]


def test_the_place_tells_the_role_where_the_content_does_not(made, made_roots):
    strange = bytearray(join(made, "pek", "oca", "cek"))
    strange[8] ^= 5
    found = one(bytes(strange) + b"")
    assert found.pek == bytes(strange[:2084])
    report = examine_chain(found, made_roots)
    assert "usage" in next(x.reason for x in report.links if x.certificate == "pek")


def test_a_certificate_of_no_known_usage_is_left_out_with_a_warning(made):
    strange = bytearray(made["pek"])
    strange[8] ^= 5
    found = recognise([("odd.cert", bytes(strange))])
    assert found.certificates == PlatformCertificates()
    assert "odd.cert" in found.warnings[0]


def test_a_misleading_file_name_is_a_warning(made):
    found = recognise([("/tmp/pek.cert", made["pdh"]), ("chain.cert", made["pek"])])
    assert found.certificates.pdh == made["pdh"]
    assert found.warnings == ("/tmp/pek.cert: named after the PEK, but holds the PDH.",)


# -- contradictions ------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["ark", "ask", "cek", "oca", "pek", "pdh"])
def test_certificates_of_two_platforms_are_refused(made, role):
    changed = bytearray(made[role])
    changed[0x20] ^= 1
    with pytest.raises(BadInput) as caught:
        recognise([("a.cert", made[role]), ("b.cert", bytes(changed))])
    assert caught.value.code == "ambiguous-chain"


def test_two_chip_ids_are_refused(answer):
    other = {**answer, "cpu0-id": b64(CHIP[::-1])}
    files = [("a.json", json.dumps(answer).encode()), ("b.json", json.dumps(other).encode())]
    with pytest.raises(BadInput, match="chip id"):
        recognise(files)


def test_two_unsigned_ceks_of_different_chips_are_refused(maker):
    other = raw.PlatformMaker(maker.authority, "chip 2")
    with pytest.raises(BadInput, match="different chips"):
        recognise([("a", maker.cek(signed=False)), ("b", other.cek(signed=False))])


# -- bad files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        bytes(2084),
        b"hello",
        b"{}",
        b"[]",
        b"[1, 2]",
        b'{"pdh": 5}',
        b'{"pdh": "!!"}',
        b'{"pdh": ""}',
        b'{"return": {}}',
        b'{"pdh": "\\ud800"}',
        b'{"cpu0-id": "AAAA"}',
        b"pdh: ",
        b"other : AAAA",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"[" * 100_000,
        b'{"return":' * 100 + b"1" + b"}" * 100,
        b"9" * 5000,
    ],
)
def test_files_that_hold_no_certificates_are_refused_by_name(content):
    with pytest.raises(BadInput) as caught:
        one(content, "evil.cert")
    assert caught.value.field.startswith("evil.cert")


@pytest.mark.parametrize("role", ["ark", "ask", "cek", "oca", "pek", "pdh"])
@pytest.mark.parametrize("change", [lambda x: x[:-1], lambda x: x + b"\0", lambda x: x[:100]])
def test_files_that_are_cut_short_or_too_long_are_refused(made, role, change):
    with pytest.raises(BadInput):
        one(change(made[role]))


def test_long_runs_of_blanks_do_not_take_quadratic_time():
    """Hangs where the table is looked for in the whole text at once."""
    for blanks in (b"\n", b" ", b" \n", b"\t"):
        with pytest.raises(BadInput):
            one(b"x" + blanks * (LARGEST_FILE // 2))


def test_huge_files_and_huge_values_are_refused(answer):
    with pytest.raises(BadInput, match="too many"):
        one(bytes(2 * LARGEST_FILE + 1))
    for key in ("pdh", "cert-chain", "cpu0-id"):
        large = {**answer, key: b64(bytes(LARGEST_FILE + 3))}
        with pytest.raises(BadInput):
            one(json.dumps(large).encode())


def test_a_chip_id_is_at_most_64_bytes(answer):
    with pytest.raises(BadInput) as caught:
        one(json.dumps({**answer, "cpu0-id": b64(bytes(65))}).encode())
    assert "cpu0-id" in caught.value.field


# -- any bytes ---------------------------------------------------------------------------------

TEXTS = st.text('{}[]":,: \n\tABab01+/=-pdhcert', max_size=300).map(str.encode)


@given(st.lists(st.binary(max_size=300) | TEXTS, max_size=3))
def test_any_files_give_a_value_or_bad_input(contents):
    files = [(f"{number}.bin", content) for number, content in enumerate(contents)]
    assert isinstance(outcome(recognise, files), (BadInput, RecognisedChain))


@given(seed=st.integers(0, 2**32), cut=st.integers(0, 12000), flips=st.integers(0, 12))
def test_mutated_chains_of_real_size_are_judged_or_refused(made, made_roots, seed, cut, flips):
    data = bytearray(join(made, "pdh", "pek", "oca", "cek", "ask", "ark"))
    dice = random.Random(seed)
    for _ in range(flips):
        # Heads of certificates are where parsers decide.
        start = dice.choice([0, 2084, 4168, 6252, 8336, 9168, dice.randrange(len(data))])
        data[min(start + dice.randrange(64), len(data) - 1)] = dice.randrange(256)
    content = bytes(data[:cut])
    found = outcome(one, content)
    if isinstance(found, BadInput):
        return
    assert all(piece in content for piece in found.by_role().values() if piece is not None)
    assert examine_chain(found, made_roots).links


# -- pins ----------------------------------------------------------------------------------------


def test_a_pin_comes_from_hex_or_from_a_certificate(made):
    print_of_oca = SevCertificate.parse(made["oca"]).fingerprint()
    assert fingerprint_pin("oca.cert", made["oca"]) == print_of_oca
    assert fingerprint_pin("export", join(made, "pdh", "pek", "oca", "cek")) == print_of_oca
    assert fingerprint_pin(print_of_oca.upper(), None) == print_of_oca


@pytest.mark.parametrize("text", ["", "ab", "g" * 64, "a" * 63, "a" * 65, "\u0661" * 64])
def test_other_texts_are_no_pin(text):
    with pytest.raises(BadInput):
        fingerprint_pin(text, None)


def test_a_file_without_an_oca_is_no_pin(made):
    with pytest.raises(BadInput, match="no OCA"):
        fingerprint_pin("pdh.cert", made["pdh"])


@pytest.mark.parametrize(("size", "kept"), [(64, True), (128, True), (3, False), (65, False)])
def test_a_chip_id_is_one_sockets_or_two(size, kept):
    answer = {
        "pdh": base64.b64encode(b"\1\0\0\0\0\0\0\0\3\x10\0\0" + bytes(2072)).decode(),
        "cpu0-id": base64.b64encode(bytes(range(size % 200)) or b"\0").decode(),
    }
    file = [("host", json.dumps(answer).encode())]
    if kept:
        assert recognise(file).certificates.chip_id == bytes(range(64))
    else:
        with pytest.raises(BadInput):
            recognise(file)
