# SPDX-License-Identifier: Apache-2.0
"""sev-tool's zip of certificates: read whole, refused when crafted, written the same each time."""

from __future__ import annotations

import io
import struct
import tracemalloc
import warnings
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.sev.certificate_archive import is_archive, read_archive, write_archive
from watchword.core.sev.chain import PlatformCertificates
from watchword.core.sev.chain_files import fingerprint_pin, recognise

from .conftest import outcome


def packed(files, compression=zipfile.ZIP_DEFLATED):
    """An archive as `zip -j` makes it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


def refusal(content):
    error = outcome(read_archive, content, "FILE")
    assert isinstance(error, BadInput), error
    assert error.code == "bad-archive"
    return error.message


@pytest.fixture
def singles(made):
    return {f"{role}.cert": data for role, data in made.items()}


# -- good ones ---------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_of_certificates_is_a_chain(singles, made, compression):
    content = packed(singles, compression)
    assert is_archive(content)
    assert read_archive(content, "FILE") == tuple(singles.items())
    found = recognise([("certs_export.zip", content)])
    assert (found.certificates, found.warnings) == (PlatformCertificates(**made), ())


def test_it_goes_together_with_other_files(singles, made, maker):
    host = made["pek"] + made["oca"] + maker.cek(signed=False)
    found = recognise([("a.zip", packed(singles)), ("cert_chain.cert", host)]).certificates
    assert (found.cek, found.cek_from_host) == (made["cek"], maker.cek(signed=False))


def test_a_misleading_name_in_it_is_named(made):
    found = recognise([("a.zip", packed({"pek.cert": made["oca"]}))])
    assert found.warnings == ("a.zip/pek.cert: named after the PEK, but holds the OCA.",)


def test_an_owners_ca_is_pinned_from_it(singles, made):
    assert fingerprint_pin("x.zip", packed(singles)) == fingerprint_pin("oca.cert", made["oca"])


def test_the_real_naples_chain_in_an_archive(vectors):
    folder = vectors / "chains" / "naples"
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    found = recognise([("certs_export.zip", packed(files))]).certificates
    assert {role.value: data for role, data in found.by_role().items()} == {
        name.partition(".")[0]: data for name, data in files.items()
    }


def test_what_is_written_is_read_again_and_the_same_each_time(singles):
    content = write_archive(singles)
    assert read_archive(content, "FILE") == tuple(singles.items())
    assert write_archive(singles) == content


# -- bad ones ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../pdh.cert",
        "a/../pdh.cert",
        "./pdh.cert",
        "/etc/pdh.cert",
        "a//pdh.cert",
        "a\\pdh.cert",
        "c:pdh.cert",
        ".pdh",
        "a/.pdh",
        "a/",
        "a/" * 16 + "pdh.cert",
    ],
)
def test_names_that_lead_somewhere_are_refused(name, made):
    assert "lead out" in refusal(packed({name: made["pdh"]}))


def test_the_folders_that_older_sev_tools_pack_along_are_left_out(singles, made):
    found = read_archive(packed({f"home/me/certs/{n}": d for n, d in singles.items()}), "FILE")
    assert found == tuple(singles.items())
    assert "same name" in refusal(packed({"a/pdh.cert": made["pdh"], "b/pdh.cert": b"x"}))


def test_a_name_that_ends_at_a_nul_is_refused(made):
    content = packed({"pdh.cert#": made["pdh"]}).replace(b"pdh.cert#", b"pdh.cert\0")
    assert "lead out" in refusal(content)


def test_too_many_files_are_refused():
    assert "17 files" in refusal(packed({f"{number}.cert": b"x" for number in range(17)}))
    assert "0 files" in refusal(_empty())


def _empty():
    """An archive without files, which begins like one with files."""
    return b"PK\3\4" + bytes(26) + packed({})


def test_two_files_of_one_name_are_refused(made):
    content = packed({"pdh.cert": made["pdh"], "pek.cert": made["pek"]})
    assert "same name" in refusal(content.replace(b"pek.cert", b"pdh.cert"))


@pytest.mark.parametrize("size", [(64 << 10) + 1, 4 << 20])
def test_a_file_that_unpacks_to_more_than_a_certificate_is_refused(size):
    assert "claims" in refusal(packed({"pdh.cert": bytes(size)}))


def test_a_file_that_lies_about_its_size_is_not_unpacked_further():
    content = bytearray(packed({"pdh.cert": bytes(16 << 20)}))
    directory = content.index(b"PK\1\2")
    content[directory + 24 : directory + 28] = struct.pack("<I", 100)
    tracemalloc.start()
    try:
        refusal(bytes(content))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_encrypted_and_oddly_packed_files_are_refused(made):
    content = bytearray(packed({"pdh.cert": made["pdh"]}))
    content[content.index(b"PK\1\2") + 8] |= 1
    assert "encrypted" in refusal(bytes(content))
    assert "encrypted" in refusal(packed({"pdh.cert": made["pdh"]}, zipfile.ZIP_BZIP2))


def test_an_archive_in_an_archive_is_no_certificate(singles):
    inner = packed({"inner.zip": packed(singles)})
    assert outcome(recognise, [("a.zip", inner)]).code == "not-certificates"


def test_an_archive_that_is_cut_short_is_refused(singles):
    content = packed(singles)
    for size in (4, 30, 100, len(content) // 2, len(content) - 1):
        assert "cut short" in refusal(content[:size])


@given(st.binary(max_size=200))
def test_any_bytes_give_files_or_a_refusal(data):
    outcome(read_archive, data, "FILE")
    outcome(read_archive, b"PK\3\4" + data, "FILE")


@given(st.data())
def test_a_mutated_archive_gives_files_or_a_refusal(data):
    mutated = bytearray(packed({"pdh.cert": b"pdh" * 40, "pek.cert": bytes(90)}))
    for _ in range(data.draw(st.integers(1, 5))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    found = outcome(read_archive, bytes(mutated), "FILE")
    assert isinstance(found, tuple) or found.code == "bad-archive"


NAMES = st.text(st.sampled_from("ab./\\:\0é"), min_size=1, max_size=12)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=50), st.booleans()), max_size=20))
def test_whatever_names_an_archive_holds_those_that_come_out_are_plain(entries):
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w") as archive:
        warnings.simplefilter("ignore")  # two files of one name
        for name, data, packs in entries:
            packing = zipfile.ZIP_DEFLATED if packs else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(name), data, packing)
    found = outcome(read_archive, out.getvalue(), "FILE")
    if isinstance(found, BadInput):
        assert found.code == "bad-archive"
        return
    names = [name for name, _ in found]
    assert len(set(names)) == len(names) <= 16
    assert all(name and name[0] != "." and not set(name) & set("/\\:\0") for name in names)
    assert [data for _, data in found] == [data for _, data, _ in entries]
