# SPDX-License-Identifier: Apache-2.0
"""Commands take what other programs wrote and write what these take: files, folders, answers."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from watchword.core.cli.peer_output import FORMS
from watchword.core.sev.peer_forms import Form

from ..sev.firmware_side import open_packet
from .support import DISK, ROLES, parse_table

TEK, TIK = b"tek of 16 bytes.", b"tik of 16 bytes."
DIGEST = "22" * 32
NONCE = "c14d9fce32ed65af0270847400376f4e"
VERSION = ("--api", "1.49", "--build", "6")
POLICY = 0x1100002F


@pytest.fixture
def tools(tmp_path):
    for name, content in {"tek": TEK, "tik": TIK, "passphrase": b"hunter2 and more"}.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.fixture
def measured(command, tools):
    """The measurement of an honest host, written in a form; the folder that has it."""

    def run(form=None, *words):
        out = tools / f"measured-{form}"
        made = command(
            *("measurement", "compute", "--tik", tools / "tik", *VERSION, "--policy", "default"),
            *("--nonce", NONCE, "--launch-digest", DIGEST, "--json", *words),
            *(("--form", form, "--out", out) if form else ()),
        )
        assert made.status == 0, made.out
        return made.json

    return run


@pytest.fixture
def verify(command, tools):
    def run(reported, *words, digest=DIGEST):
        return command(
            *("measurement", "verify", "--tik", tools / "tik", "--policy", "default", "--json"),
            *("--launch-digest", digest, "--reported", reported, *words),
        )

    return run


def test_the_forms_are_those_of_convert():
    assert list(FORMS) == [form.value for form in Form]


# -- what hosts report -------------------------------------------------------------------


@pytest.mark.parametrize("form", ["libvirt", "virtctl", "json"])
def test_a_host_programs_answer_is_all_that_is_needed(measured, verify, form):
    (path,) = measured(form)["files"].values()
    shown = verify(path)
    assert shown.status == 0, shown.out
    assert (shown.json["verdict"], shown.json["firmware"]) == ("matches", "1.49 build 6")


@pytest.mark.parametrize("form", ["sevctl", "qemu"])
def test_a_bare_measurement_needs_the_version(measured, verify, form):
    (path,) = measured(form)["files"].values()
    shown = verify(path)
    assert (shown.status, shown.code) == (2, "which-version")
    assert verify(path, *VERSION).status == 0
    assert (verify(path, "--api", "1.49").code) == "which-version"


def test_two_answers_of_qemu_in_one_file(measured, verify, tools):
    path = tools / "qmp.txt"
    sev = {"api-major": 1, "api-minor": 49, "build-id": 6, "policy": POLICY}
    answers = [{"return": sev}, {"return": {"data": measured()["blob"]}}]
    path.write_text("".join(json.dumps(answer) + "\r\n" for answer in answers))
    assert verify(path).status == 0


def test_what_the_file_says_and_what_was_typed_must_not_differ(measured, verify):
    (path,) = measured("virtctl")["files"].values()
    assert verify(path, *VERSION).status == 0
    for words in (("--api", "1.50"), ("--build", "7")):
        shown = verify(path, *words)
        assert (shown.status, shown.code) == (2, "contradicting-options")


def test_a_policy_in_the_file_never_counts(measured, verify, tools):
    (path,) = measured("virtctl")["files"].values()
    content = json.loads(Path(path).read_text())
    (tools / "lies.json").write_text(json.dumps({**content, "policy": 1}))
    shown = verify(tools / "lies.json")
    assert (shown.status, shown.json["policy"]) == (0, POLICY)
    assert "the VM's policy is 0x1;" in shown.json["warnings"][0]


def test_64_characters_are_the_measurement_whatever_files_are_called(
    measured, verify, tools, monkeypatch
):
    monkeypatch.chdir(tools)
    for byte in range(256):
        blob = measured(None, "--nonce", f"{byte:02x}" * 16)["blob"]
        if "/" not in blob:
            break
    (tools / blob).write_text("{}")
    assert verify(blob, *VERSION).status == 0


@pytest.mark.parametrize("content", ["{}", "hello", "ab" * 32, '{"data": "AAAA"}', "x" * 70_000])
def test_files_without_a_measurement_are_refused(verify, tools, content):
    (tools / "x.json").write_text(content)
    shown = verify(tools / "x.json", *VERSION)
    assert shown.status == 6, shown.out


def test_a_report_is_no_measurement(verify, tools):
    (tools / "report.bin").write_bytes(bytes([200]) * 208)
    shown = verify(tools / "report.bin", *VERSION)
    assert (shown.status, shown.code) == (6, "bad-measurement")
    assert "report verify" in shown.error["remedy"]


def test_a_launch_digest_is_taken_as_sevctl_and_sev_snp_measure_print_it(measured, verify):
    coded = base64.b64encode(bytes.fromhex(DIGEST)).decode()
    assert verify(measured()["blob"], *VERSION, digest=coded).status == 0
    assert verify(measured()["blob"], *VERSION, digest=coded[:-2]).status == 2


def test_form_and_folder_belong_together(command, tools):
    words = ("measurement", "compute", "--tik", tools / "tik", *VERSION, "--policy", "default")
    words += ("--nonce", NONCE, "--launch-digest", DIGEST, "--json")
    for more in (("--form", "sevctl"), ("--out", tools / "x")):
        shown = command(*words, *more)
        assert (shown.status, shown.code) == (2, "form-without-folder")


def test_qmps_answer_with_a_report_is_taken(command, vectors, fake, tools):
    good = (vectors / "legacy-attestation" / "good.bin").read_bytes()
    answer = {"return": {"data": base64.b64encode(good).decode()}}
    (tools / "qmp.json").write_text(json.dumps(answer))
    for content in (answer, {"return": {"data": base64.b64encode(good[:48]).decode()}}):
        (tools / "qmp.json").write_text(json.dumps(content))
        shown = command(
            *("report", "verify", tools / "qmp.json", "--platform", *fake.values(), "--json"),
            *("--trust-root", fake["ark"], "--nonce", good[:16].hex()),
        )
        assert shown.status == (0 if content is answer else 6)


# -- what is written ---------------------------------------------------------------------

OF_A_SESSION = {
    "sev-tool": ({"godh.cert", "launch_blob.bin"}, {"tmp_tk.bin"}),
    "sevctl": ({"vm1_godh.b64", "vm1_session.b64"}, {"vm1_tek.bin", "vm1_tik.bin"}),
    "qemu": ({"vm1_godh.b64", "vm1_session.b64"}, {"vm1_tek.bin", "vm1_tik.bin"}),
    "libvirt": ({"vm1_dhCert.b64", "vm1_session.b64"}, {"vm1_tek.bin", "vm1_tik.bin"}),
    "virtctl": ({"vm1.json"}, {"vm1_tek.bin", "vm1_tik.bin"}),
}


@pytest.mark.parametrize("form", OF_A_SESSION)
def test_a_session_under_another_programs_names(session, command, folder, form, tmp_path):
    session("--form", form)
    for_host, own = OF_A_SESSION[form]
    assert {path.name for path in folder.iterdir()} == {*for_host, "keys"}
    assert {path.name for path in (folder / "keys").iterdir()} == {*own, "README_vm1.txt"}
    note = (folder / "keys" / "README_vm1.txt").read_text()
    assert all(name in note for name in own)
    assert {path.stat().st_mode & 0o777 for path in (folder / "keys").iterdir()} == {0o600}
    # And it is whole: everything of a launch comes out of it again.
    sources = [folder / name for name in for_host] + [folder / "keys" / name for name in own]
    made = command("convert", *sources, "--to", "sev-tool", "--out", tmp_path / "all", "--json")
    assert made.status == 0
    names = {path.name for path in (tmp_path / "all").iterdir()}
    assert names == {"godh.cert", "launch_blob.bin", "tmp_tk.bin"}


def test_keys_in_any_form_are_in_the_ledger(session, command):
    session("--form", "sev-tool")
    entries = command("ledger", "list", "--json").json["entries"]
    (entry,) = [entry for entry in entries if entry["kind"] == "keys-exported"]
    assert "tmp_tk.bin" in json.dumps(entry)


def test_a_second_session_replaces_no_keys(session, command, platform, folder):
    session("--form", "sev-tool")
    before = (folder / "keys" / "tmp_tk.bin").read_bytes()
    shown = command(
        *("session", "create", platform / "full_chain.cert", "--policy", "default", "--json"),
        *("--trust-root", platform / "ark.cert", "--out", folder / "2", "--name", "vm2"),
        *("--export-keys", folder / "keys", "--form", "sev-tool"),
    )
    assert (shown.status, shown.code) == (6, "file-exists")
    assert (folder / "keys" / "tmp_tk.bin").read_bytes() == before
    assert not (folder / "2").exists()


def test_forms_without_a_place_for_a_session_are_refused(session, command, platform, folder):
    words = ("--trust-root", platform / "ark.cert", "--out", folder / "o", "--name", "vm1")
    for form in ("amd", "sev-tool-zip"):
        shown = command(
            *("session", "create", platform / "full_chain.cert", "--policy", "default", "--json"),
            *(*words, "--export-keys", folder / "k", "--form", form),
        )
        assert (shown.status, shown.code) == (2, "nothing-to-convert")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("form", ["sev-tool", "sevctl", "qemu", "libvirt", "virtctl", "json"])
def test_a_packet_under_another_programs_names_opens(command, tools, measured, form):
    out = tools / "packet"
    words = (
        *("secret", "seal", "--tek", tools / "tek", "--tik", tools / "tik", *VERSION, "--json"),
        *("--policy", "default", "--launch-digest", DIGEST, "--out", out, "--form", form),
        *("--secret", f"disk-passphrase={tools / 'passphrase'}", "--reported", measured()["blob"]),
    )
    assert command(*words).status == 0
    # Never a second one over it.
    assert command(*words).code == "file-exists"
    back = tools / "back"
    assert command("convert", out, "--to", "sev-tool", "--out", back).status in (0, 6)
    if not back.exists():  # one JSON file has no name that tells of it
        assert command("convert", *out.iterdir(), "--to", "sev-tool", "--out", back).status == 0
    header = (back / "packaged_secret_header.bin").read_bytes()
    payload = (back / "packaged_secret.bin").read_bytes()
    mac = bytes.fromhex(measured()["measurement"])
    assert parse_table(open_packet(TEK, TIK, mac, header, payload)) == {DISK: b"hunter2 and more\0"}


@pytest.mark.parametrize("form", ["sev-tool", "sev-tool-zip", "qemu", "libvirt", "virtctl", "json"])
def test_a_platform_under_another_programs_names_verifies(
    command, waiting_vm, folder, platform, form
):
    out = folder / "host"
    with waiting_vm(None) as host:
        shown = command("platform", "export", "--host", host.url, "--form", form, "--out", out)
    assert shown.status == 0, shown.out
    signed = [platform / f"{role}.cert" for role in ("cek", "ask", "ark")]
    verified = command(
        *("platform", "verify", *out.iterdir(), *signed, "--trust-root", platform / "ark.cert")
    )
    assert verified.status == 0, verified.out


# -- folders -----------------------------------------------------------------------------


@pytest.fixture
def of_sev_tool(session, platform, folder):
    """A folder as sev-tool leaves it, with what it leaves beside."""
    session("--form", "sev-tool")
    path = folder / "ofolder"
    path.mkdir()
    for role in ROLES:
        shutil.copy(platform / f"{role}.cert", path)
    for name in ("godh.cert", "launch_blob.bin", "keys/tmp_tk.bin"):
        shutil.copy(folder / name, path)
    chain = b"".join((path / f"{role}.cert").read_bytes() for role in ("pek", "oca", "cek"))
    (path / "cert_chain.cert").write_bytes(chain)
    with zipfile.ZipFile(path / "certs_export.zip", "w") as archive:
        for role in ROLES:
            archive.write(path / f"{role}.cert", f"tmp/ofolder/{role}.cert")
    for name in ("pdh_readable.txt", "secret.txt", "notes", ".hidden.cert", "pek_csr.cert"):
        (path / name).write_text("anything at all")
    (path / "calc_measurement_out.bin").write_bytes(bytes(32))
    return path


def test_a_folder_of_sev_tool_is_taken_whole(command, of_sev_tool, tmp_path):
    made = command("convert", of_sev_tool, "--to", "sevctl-full", "--out", tmp_path / "o", "--json")
    assert made.status == 0, made.out
    assert {path.name for path in (tmp_path / "o").iterdir()} == {
        *("vm_chain.cert", "vm_godh.b64", "vm_session.b64", "vm_tek.bin", "vm_tik.bin")
    }
    read = {file["file"].rpartition("/")[2] for file in made.json["read"]}
    assert read.isdisjoint({"secret.txt", "notes", "calc_measurement_out.bin", "certs_export.zip"})


def test_a_platform_is_verified_from_a_folder_or_the_zip_in_it(command, of_sev_tool, platform):
    trust = ("--trust-root", platform / "ark.cert")
    assert command("platform", "verify", of_sev_tool, *trust).status == 0
    for path in of_sev_tool.glob("*.cert"):
        path.unlink()
    assert command("platform", "verify", of_sev_tool, *trust).status == 0


def test_a_folder_with_nothing_known_is_refused(command, tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "secret.txt").write_text("hunter2 hunter2!")
    shown = command("convert", tmp_path / "f", "--to", "sevctl", "--out", tmp_path / "o", "--json")
    assert (shown.status, shown.code) == (6, "file-is-folder")
    shown = command("platform", "verify", tmp_path / "f", "--json")
    assert (shown.status, shown.code) == (6, "file-is-folder")


def test_a_folder_with_too_many_files_is_refused(command, tmp_path):
    for number in range(257):
        (tmp_path / f"{number}.cert").touch()
    shown = command("platform", "verify", tmp_path, "--json")
    assert (shown.status, shown.code) == (6, "too-many-files")


# -- the real program --------------------------------------------------------------------


def test_libvirts_tool_accepts_what_is_written_and_its_packet_is_taken(
    command, tools, firmware, program
):
    validator = program("virt-qemu-sev-validate", "libvirt-clients-qemu")
    made = command(
        *("measurement", "compute", "--tik", tools / "tik", *VERSION, "--policy", "1", "--json"),
        *("--nonce", NONCE, "--firmware", firmware, "--form", "libvirt", "--out", tools / "m"),
    )
    (path,) = made.json["files"].values()
    rows = dict(line.split(": ") for line in Path(path).read_text().splitlines())
    told = {name.strip().removeprefix("sev-"): value for name, value in rows.items()}
    words = [f"--{name}={value}" for name, value in told.items()]
    done = subprocess.run(
        [
            *(
                "/usr/bin/python3",
                validator,
                *words,
                f"--tik={tools / 'tik'}",
                f"--tek={tools / 'tek'}",
            ),
            *(f"--firmware={firmware}", f"--inject-secret=luks-key:{tools / 'passphrase'}"),
            *(f"--secret-header={tools / 'h.b64'}", f"--secret-payload={tools / 'p.b64'}"),
        ],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = command(
        *("convert", f"header={tools / 'h.b64'}", f"payload={tools / 'p.b64'}"),
        *("--to", "sev-tool", "--out", tools / "back"),
    )
    assert shown.status == 0, shown.err
    mac = bytes.fromhex(made.json["measurement"])
    parts = [(tools / "back" / f"packaged_secret{x}.bin").read_bytes() for x in ("_header", "")]
    assert DISK in parse_table(open_packet(TEK, TIK, mac, *parts))
