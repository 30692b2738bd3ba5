# SPDX-License-Identifier: Apache-2.0
"""``watchword convert``: there and back byte for byte, nothing replaced, no key shown."""

from __future__ import annotations

import base64
import shutil

import pytest

from .support import ROLES, modes, spellings

KEYS = bytes.fromhex("6b1f9a7703d2c45ee8b0917a2c3d4e5ff0a1b2c3d4e5968778695a4b3c2d1e0f")


@pytest.fixture
def material(session, platform, tmp_path):
    """What sev-tool would have in its folder, for a session made here."""
    files = session("--raw")
    folder = tmp_path / "sev-tool"
    folder.mkdir()
    for role in ROLES:
        shutil.copy(platform / f"{role}.cert", folder)
    chain = b"".join((platform / f"{role}.cert").read_bytes() for role in ("pek", "oca", "cek"))
    (folder / "cert_chain.cert").write_bytes(chain)
    shutil.copy(files["godh_raw"], folder / "godh.cert")
    shutil.copy(files["session_raw"], folder / "launch_blob.bin")
    (folder / "tmp_tk.bin").write_bytes(KEYS)
    (folder / "packaged_secret.bin").write_bytes(bytes(range(200, 248)))
    (folder / "packaged_secret_header.bin").write_bytes(bytes(4) + bytes(range(48)))
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def convert(command, sources, form, out, *words):
    shown = command("convert", *sources, "--to", form, "--out", out, "--json", *words)
    assert shown.status == 0, shown.out
    return shown.json


# -- there and back ----------------------------------------------------------------------


def test_sev_tool_to_sevctl_and_back(command, material, tmp_path):
    there, back = tmp_path / "there", tmp_path / "back"
    convert(command, material.iterdir(), "sevctl-full", there, "--name", "vm1")
    assert sorted(path.name for path in there.iterdir()) == [
        "vm1_chain.cert",
        "vm1_godh.b64",
        "vm1_header.bin",
        "vm1_payload.bin",
        "vm1_session.b64",
        "vm1_tek.bin",
        "vm1_tik.bin",
    ]
    assert (there / "vm1_tek.bin").read_bytes() == KEYS[:16]
    convert(command, there.iterdir(), "sev-tool", back)
    assert contents(back) == contents(material)


@pytest.mark.parametrize("form", ["qemu", "json", "virtctl"])
def test_sev_tool_to_what_hosts_take_and_back(command, material, tmp_path, form):
    there, back = tmp_path / "there", tmp_path / "back"
    made = convert(command, material.iterdir(), form, there)
    assert made["left_out"] == ["ask", "ark", "tek", "tik"]
    convert(command, there.iterdir(), "sev-tool", back)
    before = contents(material)
    for name in ("ask.cert", "ark.cert", "tmp_tk.bin"):
        del before[name]
    assert contents(back) == before


def test_libvirts_files_and_back(command, material, tmp_path):
    launch = [material / "godh.cert", material / "launch_blob.bin"]
    convert(command, launch, "libvirt", tmp_path / "there", "--name", "vm1")
    there = tmp_path / "there"
    godh = base64.b64encode(launch[0].read_bytes())
    assert (there / "vm1_dhCert.b64").read_bytes() == godh
    convert(command, there.iterdir(), "sev-tool", tmp_path / "back")
    assert contents(tmp_path / "back") == {path.name: path.read_bytes() for path in launch}


def test_a_zip_of_certificates_there_and_back(command, material, platform, tmp_path):
    singles = [material / f"{role}.cert" for role in ROLES]
    convert(command, singles, "sev-tool-zip", tmp_path)
    archive = tmp_path / "certs_export.zip"
    convert(command, [archive], "sev-tool", tmp_path / "back")
    for path in singles:
        assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes()
    trust = ("--trust-root", platform / "ark.cert")
    assert command("platform", "verify", archive, *trust).status == 0


@pytest.mark.parametrize("wrap", ["0", "64", "76"])
@pytest.mark.parametrize(
    "name", ["godh.cert", "launch_blob.bin", "ark.cert", "cert_chain.cert", "packaged_secret.bin"]
)
def test_raw_to_base64_and_back(command, material, tmp_path, name, wrap):
    coded = (material / name).with_suffix(".b64").name
    convert(command, [material / name], "base64", tmp_path, "--wrap", wrap)
    text = (tmp_path / coded).read_bytes()
    assert max(map(len, text.splitlines())) <= (int(wrap) or len(text))
    assert base64.b64decode(text) == (material / name).read_bytes()
    convert(command, [tmp_path / coded], "raw", tmp_path / "back")
    assert contents(tmp_path / "back") == {name: (material / name).read_bytes()}


def test_what_is_in_the_form_already_stays_as_it_is(command, material, tmp_path):
    convert(command, [material / "godh.cert"], "raw", tmp_path)
    assert (tmp_path / "godh.cert").read_bytes() == (material / "godh.cert").read_bytes()
    (tmp_path / "x.b64").write_bytes(base64.encodebytes(b"\xff" * 200))
    convert(command, [tmp_path / "x.b64"], "base64", tmp_path / "again")
    assert (tmp_path / "again" / "x.b64").read_bytes() == base64.b64encode(b"\xff" * 200)


def test_amds_file(command, vectors, tmp_path):
    naples = vectors / "chains" / "naples"
    convert(command, [naples / "ark.cert", naples / "ask.cert"], "amd", tmp_path)
    both = (naples / "ask.cert").read_bytes() + (naples / "ark.cert").read_bytes()
    assert (tmp_path / "ask_ark.cert").read_bytes() == both


def test_what_session_create_writes_is_taken(command, session, tmp_path):
    files = session()
    convert(command, files.values(), "sev-tool", tmp_path)
    keys = files["tek"].read_bytes() + files["tik"].read_bytes()
    assert (tmp_path / "tmp_tk.bin").read_bytes() == keys


# -- keys --------------------------------------------------------------------------------


def test_keys_are_for_their_owner_alone_and_the_words_say_what_they_are(
    command, material, tmp_path
):
    out = tmp_path / "out"
    shown = command("convert", material / "tmp_tk.bin", "--to", "sevctl", "--out", out)
    assert modes(out) == {"vm_tek.bin": 0o600, "vm_tik.bin": 0o600}
    assert out.stat().st_mode & 0o777 == 0o700
    assert "whoever has them and the packet can take the secret" in shown.out
    made = convert(command, [material / "tmp_tk.bin"], "sev-tool", tmp_path / "tool")
    assert [file["secret"] for file in made["files"]] == [True]


@pytest.mark.parametrize("form", ["sev-tool", "sevctl", "qemu", "json", "base64", "amd"])
@pytest.mark.parametrize("name", ["tmp_tk.bin", "unknown.bin", "vm_header.bin", "vm_tik.bin"])
def test_no_output_shows_a_key(command, tmp_path, form, name):
    (tmp_path / name).write_bytes(KEYS)
    for words in ((), ("--json",)):
        shown = command("convert", tmp_path / name, "--to", form, "--out", tmp_path / "o", *words)
        for key in (KEYS, KEYS[:16], KEYS[16:]):
            for spelling in spellings(key):
                assert spelling not in (shown.out + shown.err).encode()
        shutil.rmtree(tmp_path / "o", ignore_errors=True)


def test_keys_stay_binary(command, material, tmp_path):
    for form in ("raw", "base64"):
        words = ("--to", form, "--out", tmp_path / "out", "--json")
        shown = command("convert", material / "tmp_tk.bin", *words)
        assert (shown.status, shown.code) == (6, "keys-stay-raw")


# -- refusals ----------------------------------------------------------------------------


def test_nothing_is_replaced_and_nothing_left_half_done(command, material, tmp_path):
    (tmp_path / "vm_tik.bin").write_bytes(b"of another launch")
    words = ("--to", "sevctl", "--out", tmp_path, "--json")
    shown = command("convert", *material.iterdir(), *words)
    assert (shown.status, shown.code) == (6, "file-exists")
    assert (tmp_path / "vm_tik.bin").read_bytes() == b"of another launch"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["vm_tik.bin"]


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("--to", "sevctl"), 2, "bad-arguments"),
        (("--to", "pem", "--out", "o"), 2, "bad-arguments"),
        (("--to", "qemu", "--out", "o", "--name", "../x"), 2, "bad-name"),
        (("--to", "qemu", "--out", "o", "--name", ""), 2, "bad-name"),
        (("--to", "qemu", "--out", "o", "--wrap", "3"), 2, "bad-wrap"),
        (("--to", "qemu", "--out", "o", "--wrap", "-1"), 2, "bad-arguments"),
        (("--to", "amd", "--out", "o"), 2, "nothing-to-convert"),
    ],
)
def test_usage_errors(command, material, tmp_path, monkeypatch, words, status, code):
    monkeypatch.chdir(tmp_path)
    shown = command("convert", material / "godh.cert", *words, "--json")
    assert (shown.status, shown.code) == (status, code)
    assert not (tmp_path / "o").exists()


def test_two_files_that_would_have_one_name_are_refused(command, material, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(material / "pek.cert", other / "godh.cert")
    sources = (material / "godh.cert", other / "godh.cert")
    shown = command("convert", *sources, "--to", "base64", "--out", tmp_path / "o", "--json")
    assert (shown.status, shown.code) == (2, "same-name")


def test_a_file_that_may_be_anything_can_be_named_by_its_kind(command, tmp_path):
    (tmp_path / "x").write_bytes(KEYS[:16])
    out = ("--to", "sevctl", "--out", tmp_path / "o", "--json")
    shown = command("convert", tmp_path / "x", *out)
    assert (shown.status, shown.code) == (6, "which-kind")
    assert command("convert", f"tik={tmp_path / 'x'}", *out).status == 0
    assert (tmp_path / "o" / "vm_tik.bin").read_bytes() == KEYS[:16]


def test_a_name_with_an_equals_sign_is_a_name(command, material, tmp_path):
    path = tmp_path / "odd=name.cert"
    shutil.copy(material / "godh.cert", path)
    assert convert(command, [path], "sev-tool", tmp_path / "o")["read"][0]["kind"] == "godh"


@pytest.mark.parametrize(
    ("name", "code"), [("gone", "file-missing"), ("", "file-is-folder"), ("empty", "file-empty")]
)
def test_files_that_can_not_be_read_are_named(command, tmp_path, name, code):
    (tmp_path / "empty").touch()
    for form in ("raw", "sevctl"):
        words = ("--to", form, "--out", tmp_path / "o", "--json")
        shown = command("convert", tmp_path / name, *words)
        assert (shown.status, shown.code) == (6, code)


def test_what_is_left_out_and_what_is_odd_is_told(command, naples, maker_free_chain, tmp_path):
    shown = command("convert", maker_free_chain, "--to", "sevctl", "--out", tmp_path / "o")
    assert "warning: The CEK is the host's, which AMD did not sign" in shown.out
    shown = command(
        "convert", naples["ark"], naples["pdh"], "--to", "qemu", "--out", tmp_path / "q"
    )
    assert "Left out, for want of a place in that form: ark." in shown.out


@pytest.fixture
def maker_free_chain(naples, tmp_path):
    """The real chain as its host would hand it out: with an unsigned CEK."""
    cek = bytearray(naples["cek"].read_bytes())
    for slot in (0x414, 0x61C):
        cek[slot : slot + 520] = b"\x00\x10\0\0" + bytes(516)
    path = tmp_path / "host.cert"
    roles = [naples[role].read_bytes() for role in ("pdh", "pek", "oca")]
    path.write_bytes(b"".join(roles) + bytes(cek))
    return path
