# SPDX-License-Identifier: Apache-2.0
"""The forms and file names of other tools: each read back is what was written."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from watchword.core.errors import UsageError
from watchword.core.secret import Secret
from watchword.core.sev.chain import PlatformCertificates
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.measurement_files import ToldMeasurement
from watchword.core.sev.peer_files import GivenFile, LaunchFiles, recognise_files
from watchword.core.sev.peer_forms import Form, as_base64, cautions, files_of_form, left_out

from . import chain_maker as raw
from .conftest import outcome

KEYS = hashlib.sha256(b"transport keys").digest()
HEADER = bytes(4) + bytes(range(1, 49))
PAYLOAD = bytes(range(64))
SESSION = bytes(range(128))
TOLD = ToldMeasurement(
    bytes(range(200, 248)), FirmwareVersion(1, 55, 24), 0x2F, bytes(range(207, -1, -1))
)
LAUNCH = ("godh", "session", "tek", "tik", "header", "payload")
HOST_SAYS = ("measurement", "nonce", "api", "policy", "report")
ROLES = ("pdh", "pek", "oca", "cek", "ask", "ark")


@pytest.fixture
def everything(made):
    godh = raw.sev_body(raw.PDH, raw.ec_area(raw.ec_key("godh")), algorithm=raw.ECDH)
    return LaunchFiles(
        PlatformCertificates(**made, chip_id=bytes(range(64))),
        godh + raw.EMPTY_SLOT * 2,
        SESSION,
        Secret(KEYS[:16]),
        Secret(KEYS[16:]),
        HEADER,
        PAYLOAD,
        TOLD,
    )


def plain(data):
    if isinstance(data, Secret):
        with data.reveal() as view:
            return bytes(view)
    return data


def written(form, files, **options):
    return {one.name: plain(one.data) for one in files_of_form(form, files, "vm1", **options)}


def parts(files):
    """All of a launch's files as comparable values."""
    values = [files.certificates]
    for part in ("godh", "session", "tek", "tik", "header", "payload"):
        value = getattr(files, part)
        values.append(plain(value) if value is not None else None)
    return values


NAMES = {
    Form.SEV_TOOL: [
        *[f"{role}.cert" for role in ROLES],
        "cert_chain.cert",
        "godh.cert",
        "launch_blob.bin",
        "tmp_tk.bin",
        "packaged_secret.bin",
        "packaged_secret_header.bin",
        "calc_measurement_out.bin",
        "calc_measurement_out.txt",
        "attestation_report.bin",
    ],
    Form.SEV_TOOL_ZIP: ["certs_export.zip"],
    Form.SEVCTL: [
        "vm1_chain.cert",
        "vm1_godh.b64",
        "vm1_session.b64",
        "vm1_tek.bin",
        "vm1_tik.bin",
        "vm1_header.bin",
        "vm1_payload.bin",
        "vm1_measurement.b64",
        "vm1_report.bin",
    ],
    Form.QEMU: [
        "vm1_pdh.b64",
        "vm1_cert_chain.b64",
        "vm1_godh.b64",
        "vm1_session.b64",
        "vm1_header.b64",
        "vm1_payload.b64",
        "vm1_measurement.b64",
    ],
    Form.LIBVIRT: [
        "vm1_nodesevinfo.txt",
        "vm1_dhCert.b64",
        "vm1_session.b64",
        "vm1_secrethdr.b64",
        "vm1_secret.b64",
        "vm1_domlaunchsecinfo.txt",
    ],
    Form.VIRTCTL: ["vm1.json"],
    Form.JSON: ["vm1.json"],
    Form.AMD: ["ask_ark.cert"],
}
NAMES[Form.SEVCTL_FULL] = NAMES[Form.SEVCTL]


@pytest.mark.parametrize("form", Form)
def test_the_names_are_those_that_the_tools_use(everything, form):
    assert list(written(form, everything)) == NAMES[form]


@pytest.mark.parametrize("form", Form)
def test_what_is_written_is_recognised_again(everything, form):
    outputs = files_of_form(form, everything, "vm1")
    # A MAC without its nonce is of use to nobody but sev-tool.
    kept = [one for one in outputs if not one.name.startswith("calc_measurement_out")]
    again = recognise_files(GivenFile(one.name, one.data) for one in kept)
    lost = set(left_out(everything, outputs))
    before, after = parts(everything), parts(again.files)
    for part, old, new in zip(
        ("godh", "session", "tek", "tik", "header", "payload"), before[1:], after[1:], strict=True
    ):
        assert new == (None if part in lost else old)
    for role in (*ROLES, "chip_id"):
        old, new = getattr(before[0], role), getattr(after[0], role)
        assert new == (None if role in lost else old)
    told = again.files.told
    assert told.measurement == (None if "nonce" in lost else TOLD.measurement)
    assert told.version == (None if "api" in lost else TOLD.version)
    assert told.policy == (None if "policy" in lost else TOLD.policy)
    assert told.report == (None if "report" in lost else TOLD.report)
    assert again.warnings == ()


@pytest.mark.parametrize(
    ("form", "lost"),
    [
        (Form.SEV_TOOL, ("chip_id", "nonce", "api", "policy")),
        (Form.SEV_TOOL_ZIP, ("chip_id", *LAUNCH, *HOST_SAYS)),
        (Form.SEVCTL, ("ask", "ark", "chip_id", "api", "policy")),
        (Form.SEVCTL_FULL, ("chip_id", "api", "policy")),
        (Form.QEMU, ("ask", "ark", "chip_id", "tek", "tik", "api", "policy", "report")),
        (Form.LIBVIRT, ("ask", "ark", "tek", "tik", "report")),
        (Form.VIRTCTL, ("ask", "ark", "tek", "tik", "report")),
        (Form.JSON, ("ask", "ark", "tek", "tik", "report")),
        (Form.AMD, ("pdh", "pek", "oca", "cek", "chip_id", *LAUNCH, *HOST_SAYS)),
    ],
)
def test_what_has_no_place_in_a_form_is_told(everything, form, lost):
    missing = left_out(everything, files_of_form(form, everything, "vm1"))
    assert missing == lost


def test_layouts_are_byte_for_byte_those_of_the_tools(everything, made):
    short = b"".join(made[role] for role in ("pdh", "pek", "oca", "cek"))
    ca = made["ask"] + made["ark"]
    assert written(Form.SEVCTL, everything)["vm1_chain.cert"] == short
    assert written(Form.SEVCTL_FULL, everything)["vm1_chain.cert"] == short + ca
    assert written(Form.AMD, everything)["ask_ark.cert"] == ca
    tool = written(Form.SEV_TOOL, everything)
    assert tool["cert_chain.cert"] == short[2084:]
    assert tool["tmp_tk.bin"] == KEYS
    qemu = written(Form.QEMU, everything)
    assert base64.b64decode(qemu["vm1_cert_chain.b64"]) == short[2084:]


def test_json_has_the_names_of_the_program_it_is_for(everything):
    shared = {"pdh", "cpu0-id", "dhCert", "session", "header", "secret", "policy"}
    qemu = {"cert-chain", "data", "api-major", "api-minor", "build-id"}
    virtctl = {"certChain", "measurement", "apiMajor", "apiMinor", "buildID"}
    assert set(json.loads(written(Form.JSON, everything)["vm1.json"])) == shared | qemu
    assert set(json.loads(written(Form.VIRTCTL, everything)["vm1.json"])) == shared | virtctl


def test_a_measurement_is_as_each_program_has_it(everything):
    measured = base64.b64encode(TOLD.measurement)
    tool = written(Form.SEV_TOOL, everything)
    assert tool["calc_measurement_out.bin"] == TOLD.measurement[:32]
    assert tool["calc_measurement_out.txt"] == TOLD.measurement[:32].hex().encode()
    assert tool["attestation_report.bin"] == TOLD.report
    assert written(Form.SEVCTL, everything)["vm1_measurement.b64"] == measured
    assert written(Form.LIBVIRT, everything)["vm1_domlaunchsecinfo.txt"].decode() == (
        f"sev-measurement: {measured.decode()}\nsev-api-major  : 1\nsev-api-minor  : 55\n"
        "sev-build-id   : 24\nsev-policy     : 47\n"
    )


def test_a_platform_is_as_virsh_prints_it(everything, made):
    table = written(Form.LIBVIRT, everything)["vm1_nodesevinfo.txt"].decode()
    rows = [line.split(": ") for line in table.splitlines()]
    assert [name for name, _ in rows] == [f"{n:<18}" for n in ("pdh", "cert-chain", "cpu0-id")]
    assert base64.b64decode(rows[0][1]) == made["pdh"]


def test_a_mac_without_its_nonce_never_passes_for_two_keys():
    for content in (Secret(bytes(range(32))), b"ab" * 32):
        error = outcome(recognise_files, [GivenFile("x/calc_measurement_out.bin", content)])
        assert error.code == "measurement-without-nonce"
        assert not isinstance(content, Secret) or content.wiped


def test_a_measurement_or_report_without_a_name_is_asked_about():
    for size, word in ((48, "measurement=x"), (208, "report=x")):
        for content in (bytes([200]) * size, base64.b64encode(bytes([200]) * size)):
            error = outcome(recognise_files, [GivenFile("x", content)])
            assert (error.code, word in error.remedy) == ("which-kind", True)


def test_two_measurements_are_not_those_of_one_launch():
    files = [GivenFile(f"{n}_measurement.b64", base64.b64encode(bytes([n]) * 48)) for n in (1, 2)]
    assert outcome(recognise_files, files).code == "ambiguous-files"
    assert recognise_files(files[:1] * 2).files.told.measurement == bytes([1]) * 48


def test_a_chain_as_the_host_gave_it_keeps_the_hosts_cek(everything, made, maker):
    host = maker.cek(signed=False)
    chain = PlatformCertificates(**made, cek_from_host=host)
    files = LaunchFiles(chain)
    assert written(Form.SEV_TOOL, files)["cert_chain.cert"].endswith(host)
    assert written(Form.SEV_TOOL, files)["cek.cert"] == made["cek"]
    assert written(Form.SEVCTL, files)["vm1_chain.cert"].endswith(made["cek"])


def test_a_cek_that_amd_did_not_sign_is_warned_of_where_it_must_be(made, maker):
    unsigned = LaunchFiles(PlatformCertificates(**{**made, "cek": maker.cek(signed=False)}))
    assert "did not sign" in cautions(Form.SEVCTL, unsigned)[0]
    assert cautions(Form.QEMU, unsigned) == ()
    assert cautions(Form.SEVCTL, LaunchFiles(PlatformCertificates(**made))) == ()
    assert cautions(Form.SEVCTL, LaunchFiles(PlatformCertificates())) == ()


def test_keys_come_as_secrets_of_their_own(everything):
    for form in (Form.SEV_TOOL, Form.SEVCTL):
        keys = [o for o in files_of_form(form, everything, "vm1") if isinstance(o.data, Secret)]
        assert sorted(part for one in keys for part in one.parts) == ["tek", "tik"]
        for one in keys:
            one.data.wipe()
    assert plain(everything.tek) == KEYS[:16]


@pytest.mark.parametrize("form", Form)
def test_keys_are_in_no_public_file(everything, form):
    for one in files_of_form(form, everything, "vm1"):
        if not isinstance(one.data, Secret):
            for key in (KEYS[:16], KEYS[16:]):
                for spelling in (key, key.hex().encode(), base64.b64encode(key)[:-4]):
                    assert spelling not in one.data


def test_one_key_alone_is_no_sev_tool_file():
    files = LaunchFiles(PlatformCertificates(), tek=Secret(KEYS[:16]))
    assert list(written(Form.SEVCTL, files)) == ["vm1_tek.bin"]
    assert outcome(written, Form.SEV_TOOL, files).code == "nothing-to-convert"


@pytest.mark.parametrize("form", Form)
def test_nothing_to_write_is_told_with_what_the_form_needs(form):
    error = outcome(written, form, LaunchFiles(PlatformCertificates()))
    assert isinstance(error, UsageError)
    assert "it takes" in error.message


def test_base64_is_one_line_or_lines_of_the_width_asked_for():
    assert as_base64(b"x" * 60) == base64.b64encode(b"x" * 60)
    assert as_base64(b"x" * 60, 76).split(b"\n")[1:] == [base64.b64encode(b"x" * 60)[76:], b""]
    assert as_base64(b"x" * 57, 76).count(b"\n") == 1


def test_wrapped_base64_is_recognised_again(everything):
    wrapped = written(Form.QEMU, everything, wrap=64)
    assert max(map(len, wrapped["vm1_godh.b64"].split(b"\n"))) == 64
    again = recognise_files(GivenFile(name, data) for name, data in wrapped.items())
    assert again.files.godh == everything.godh


def test_the_files_that_real_tools_wrote_survive_there_and_back(vectors):
    chain = vectors / "chains" / "naples"
    sources = [vectors / "godh_naples.cert", *(chain / f"{role}.cert" for role in ROLES)]
    first = recognise_files(GivenFile(path.name, path.read_bytes()) for path in sources).files
    for form in (Form.SEVCTL_FULL, Form.SEV_TOOL):
        outputs = files_of_form(form, first, "vm1")
        back = recognise_files(GivenFile(one.name, one.data) for one in outputs).files
        tool = written(Form.SEV_TOOL, back)
        assert tool["godh.cert"] == sources[0].read_bytes()
        for path in sources[1:]:
            assert tool[path.name] == path.read_bytes()
