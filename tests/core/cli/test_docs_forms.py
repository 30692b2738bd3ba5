# SPDX-License-Identifier: Apache-2.0
"""docs/forms.md: every cell of its tables is tried, and has to be as it says."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path

import pytest

from watchword.core.errors import AnswerPending, HostError
from watchword.core.hosts.exchange import ExchangeHost
from watchword.core.hosts.urls import ExchangeAddress
from watchword.core.secret import Secret
from watchword.core.sev.chain import PlatformCertificates
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.measurement_files import ToldMeasurement
from watchword.core.sev.peer_files import LaunchFiles
from watchword.core.sev.peer_forms import Form, files_of_form

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "forms.md").read_text(encoding="utf-8")
TEK, TIK = b"tek of 16 bytes.", b"tik of 16 bytes."
DIGEST, NONCE = "22" * 32, "c14d9fce32ed65af0270847400376f4e"
VERSION = {"api-major": 1, "api-minor": 49, "build-id": 6, "policy": 0x1100002F}
LAUNCH = "vm1-20260101-000000-abcd"


def table(heading):
    """The rows of the table below a heading: first cell, and the others by column."""
    section = PAGE.split(f"# {heading}\n", 1)[1].split("\n#", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(cells[0][1:], row[1:], strict=True)) for row in cells[1:]}


def all_cells(heading):
    rows = table(heading)
    return [
        pytest.param(form, column, cell == "yes", id=f"{form}, {column}")
        for form, columns in rows.items()
        for column, cell in columns.items()
        if cell in ("yes", "no")
    ]


def b64(data):
    return base64.b64encode(data).decode()


def written(folder, files):
    """The files in a folder of their own; their paths."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return sorted(folder.iterdir())


def virsh(fields):
    return "".join(f"{name:<18}: {value}\n" for name, value in fields.items())


class Exchange:
    """A folder that an operator filled with what a form gives."""

    def __init__(self, tmp_path):
        self.root = tmp_path / "exchange"
        self.host = ExchangeHost(ExchangeAddress(str(self.root)), LAUNCH)

    def takes(self, turn, files, ask):
        if not all(isinstance(content, bytes | str) for content in files.values()):
            return False
        written(self.root / turn, files)
        try:
            asyncio.run(ask(self.host))
        except (AnswerPending, HostError):
            return False
        return True


@pytest.fixture
def converts(command, tmp_path):
    def run(paths):
        words = ("--to", "json", "--out", tmp_path / "out")
        if any("tk" in path.name or "ek" in path.name or "ik" in path.name for path in paths):
            words = ("--to", "sevctl", "--out", tmp_path / "out")
        if any("report" in path.name for path in paths):
            words = ("--to", "sev-tool", "--out", tmp_path / "out")
        return command("convert", *paths, *words).status == 0

    return run


# -- certificates ------------------------------------------------------------------------


@pytest.fixture
def certificates(keys, tmp_path):
    single = {
        "pdh.cert": keys.pdh,
        "pek.cert": keys.pek,
        "oca.cert": keys.oca,
        "cek.cert": keys.cek,
        "ask.cert": keys.root.ask,
        "ark.cert": keys.root.ark,
    }
    chain = PlatformCertificates(**{n.partition(".")[0]: d for n, d in single.items()})
    (archive,) = files_of_form(Form.SEV_TOOL_ZIP, LaunchFiles(chain), "x")
    capabilities = {"pdh": b64(keys.pdh), "cert-chain": b64(keys.pek_oca_cek)}
    rest = {"rest.cert": keys.cek + keys.root.ask + keys.root.ark}
    virtctl = {"pdh": b64(keys.pdh), "certChain": b64(keys.pek_oca_cek)}
    return {
        "pdh.cert, pek.cert, … of sev-tool": single,
        "pdh.cert and cert_chain.cert of sev-tool": {
            **rest,
            "pdh.cert": keys.pdh,
            "cert_chain.cert": keys.pek_oca_cek,
        },
        "certs_export.zip of sev-tool": {"certs_export.zip": archive.data},
        "a folder of sev-tool": {"folder": single},
        "`sevctl export --full`": {"full.cert": keys.full_chain},
        "the same in base64": {"full.b64": base64.encodebytes(keys.full_chain)},
        "query-sev-capabilities of QEMU": {**rest, "a.json": json.dumps({"return": capabilities})},
        "`virsh nodesevinfo`": {**rest, "info.txt": virsh(capabilities)},
        "`virtctl sev fetch-cert-chain`": {**rest, "a.json": json.dumps(virtctl, indent=2)},
    }


@pytest.mark.parametrize(("form", "column", "expected"), all_cells("Certificates"))
def test_certificates(command, certificates, platform, tmp_path, converts, form, column, expected):
    files = certificates[form]
    if column == "exchange: turn 1":
        turn = "1-platform-from-host"
        taken = Exchange(tmp_path).takes(turn, files, lambda host: host.platform())
    else:
        inside = files.get("folder")
        paths = written(tmp_path / "in", inside or files)
        paths = [tmp_path / "in"] if inside else paths
        trust = ("--trust-root", platform / "ark.cert")
        verified = column == "platform verify"
        taken = command("platform", "verify", *paths, *trust).status == 0 if verified else None
        taken = converts(paths) if taken is None else taken
    assert taken is expected


# -- measurement and report --------------------------------------------------------------


@pytest.fixture
def measurement(command, tmp_path):
    (tmp_path / "tik").write_bytes(TIK)
    made = command(
        *("measurement", "compute", "--tik", tmp_path / "tik", "--api", "1.49", "--build", "6"),
        *("--policy", "default", "--nonce", NONCE, "--launch-digest", DIGEST, "--json"),
    ).json
    return base64.b64decode(made["blob"])


def measured_files(data):
    sev = {"return": VERSION}
    qmp = json.dumps({"return": {"data": b64(data)}}) + "\n" + json.dumps(sev)
    names = {"api-major": "apiMajor", "api-minor": "apiMinor", "build-id": "buildID"}
    virtctl = {names.get(name, name): value for name, value in VERSION.items()}
    table = {"sev-measurement": b64(data), **{f"sev-{n}": v for n, v in VERSION.items()}}
    return {
        "48 bytes in a file": {"vm1_measurement.bin": data},
        "base64 in a file": {"vm1_measurement.b64": b64(data) + "\n"},
        "query-sev-launch-measure of QEMU": {"vm1_measurement.json": qmp},
        "`virsh domlaunchsecinfo`": {"info.txt": virsh(table)},
        "`virtctl sev query-measurement`": {
            "a.json": json.dumps({"measurement": b64(data), **virtctl})
        },
        "calc_measurement_out.bin of sev-tool": {"calc_measurement_out.bin": data[:32]},
    }


@pytest.mark.parametrize(("form", "column", "expected"), all_cells("Launch measurement"))
def test_measurements(command, measurement, tmp_path, converts, form, column, expected):
    files = measured_files(measurement).get(form)
    if column == "exchange: turn 3":
        version = {"version.json": json.dumps({"return": VERSION})}
        turn, every = "3-measurement-from-host", {**(files or {}), **version}
        taken = Exchange(tmp_path).takes(turn, every, lambda host: host.measurement())
    elif column == "convert":
        taken = files is not None and converts(written(tmp_path / "in", files))
    else:
        given = b64(measurement) if files is None else written(tmp_path / "in", files)[0]
        typed = ("--api", "1.49", "--build", "6")
        shown = command(
            *("measurement", "verify", "--tik", tmp_path / "tik", "--policy", "default", *typed),
            *("--launch-digest", DIGEST, "--reported", given),
        )
        taken = shown.status == 0
    assert taken is expected


def report_files(data):
    return {
        "attestation_report.bin of sev-tool": {"attestation_report.bin": data},
        "base64 in a file": {"report.b64": b64(data)},
        "query-sev-attestation-report of QEMU": {
            "report.json": json.dumps({"return": {"data": b64(data)}})
        },
    }


@pytest.mark.parametrize(("form", "column", "expected"), all_cells("Attestation report"))
def test_reports(command, vectors, fake, tmp_path, converts, form, column, expected):
    good = (vectors / "legacy-attestation" / "good.bin").read_bytes()
    files = report_files(good)[form]
    if column == "exchange: turn 5":
        turn = "5-running-from-host"
        taken = Exchange(tmp_path).takes(
            turn, files, lambda host: host.attestation_report(good[:16])
        )
    elif column == "convert":
        taken = converts(written(tmp_path / "in", files))
    else:
        shown = command(
            *("report", "verify", *written(tmp_path / "in", files), "--platform", *fake.values()),
            *("--trust-root", fake["ark"], "--nonce", good[:16].hex()),
        )
        taken = shown.status == 0
    assert taken is expected


# -- keys --------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "column", "expected"), all_cells("Keys"))
def test_keys(command, measurement, tmp_path, converts, form, column, expected):
    files = {
        "tmp_tk.bin of sev-tool": {"tmp_tk.bin": TEK + TIK},
        "NAME_tek.bin and NAME_tik.bin of sevctl": {"vm1_tek.bin": TEK, "vm1_tik.bin": TIK},
        "either in base64": {"vm1_tek.b64": b64(TEK), "vm1_tik.b64": b64(TIK)},
    }[form]
    paths = written(tmp_path / "in", files)
    if column == "convert":
        assert converts(paths) is expected
        return
    (tmp_path / "passphrase").write_bytes(b"hunter2 and more")
    given = ("--tk", paths[0]) if column == "--tk" else ("--tek", paths[0], "--tik", paths[-1])
    shown = command(
        *("secret", "seal", *given, "--api", "1.49", "--build", "6", "--policy", "default"),
        *("--launch-digest", DIGEST, "--reported", b64(measurement), "--out", tmp_path / "packet"),
        *("--secret", f"disk-passphrase={tmp_path / 'passphrase'}"),
    )
    assert (shown.status == 0) is expected


# -- what is written ---------------------------------------------------------------------

PARTS = {
    "PDH": {"pdh"},
    "PEK, OCA, CEK": {"pek", "oca", "cek"},
    "ASK, ARK": {"ask", "ark"},
    "chip id": {"chip_id"},
    "GODH": {"godh"},
    "launch blob": {"session"},
    "TEK, TIK": {"tek", "tik"},
    "packet's header": {"header"},
    "packet's payload": {"payload"},
    "measurement": {"measurement"},
    "its nonce": {"nonce"},
    "API, build, policy": {"api", "policy"},
    "attestation report": {"report"},
}


def test_the_table_of_what_is_written_is_true(keys, vectors):
    chain = {"pdh": keys.pdh, "pek": keys.pek, "oca": keys.oca, "cek": keys.cek}
    everything = LaunchFiles(
        PlatformCertificates(**chain, ask=keys.root.ask, ark=keys.root.ark, chip_id=keys.chip_id),
        *(bytes(2084), bytes(128), Secret(TEK), Secret(TIK), bytes(52), bytes(64)),
        ToldMeasurement(bytes(48), FirmwareVersion(1, 49, 6), 1, bytes(208)),
    )
    rows = table("What is written")
    assert list(rows) == list(PARTS)
    for column in next(iter(rows.values())):
        outputs = files_of_form(Form(column), everything, "vm1")
        for row, parts in PARTS.items():
            names = [output.name for output in outputs if parts & set(output.parts)]
            assert rows[row][column] == (", ".join(names) or "\u2013"), (row, column)


def test_every_form_is_on_the_page():
    for form in Form:
        assert re.search(rf"\b{form.value}\b", PAGE), form
