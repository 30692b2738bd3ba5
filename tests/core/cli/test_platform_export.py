# SPDX-License-Identifier: Apache-2.0
"""``platform export``: what a host says are its certificates, saved."""

from __future__ import annotations

import json

import pytest

from watchword.core.hosts.locality import LOCAL_WARNING

WITHOUT_SEV = None


def test_the_chain_is_saved_as_the_host_gives_it(command, waiting_vm, keys, folder, platform):
    out = folder / "host.cert"
    with waiting_vm(WITHOUT_SEV) as host:
        shown = command("platform", "export", "--host", host.url, "--out", out, "--json")
    assert shown.status == 0
    assert shown.json == {
        "ok": True,
        "file": str(out),
        "size": 8336,
        "chip_id": keys.chip_id.hex(),
        "warnings": [LOCAL_WARNING],
    }
    assert LOCAL_WARNING in shown.err
    assert "not signed" in shown.err
    assert out.read_bytes() == keys.pdh + keys.pek_oca_cek
    assert out.stat().st_mode & 0o777 == 0o600
    # With AMD's copy of the CEK it verifies, under the root that is trusted by name.
    verified = command(
        *("platform", "verify", out, platform / "cek.cert", platform / "ask.cert"),
        *(platform / "ark.cert", "--trust-root", platform / "ark.cert"),
    )
    assert verified.status == 0


def test_as_json_it_holds_the_chip_id_and_is_read_back(command, waiting_vm, keys, folder):
    out = folder / "host.json"
    with waiting_vm(WITHOUT_SEV, ("127.0.0.1", 0)) as host:
        assert host.url.startswith("qmp+tcp://127.0.0.1:")
        shown = command("platform", "export", "--host", host.url, "--out", out)
    assert shown.status == 0
    assert "Nothing in it is verified yet." in shown.out
    assert set(json.loads(out.read_text())) == {
        "pdh",
        "cert-chain",
        "cbitpos",
        "reduced-phys-bits",
        "cpu0-id",
    }
    verified = command("platform", "verify", out, "--json")
    assert (verified.status, verified.json["chip_id"]) == (3, keys.chip_id.hex())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("qmp+unix:///nowhere/vm1.sock", 4),
        ("qmp+tcp://127.0.0.1:1", 4),
        ("qmp+unix://host/run/vm1.sock", 2),
        ("http://localhost:1", 2),
        ("qmp+tcp://user:hunter2@localhost:1", 2),
        ("", 2),
    ],
)
def test_a_host_that_cant_be_reached_leaves_no_file(command, folder, host, status):
    out = folder / "host.cert"
    shown = command("platform", "export", "--host", host, "--out", out, "--json")
    assert shown.status == status
    assert shown.error["details"]
    assert "hunter2" not in shown.out + shown.err
    assert not out.exists()


def test_a_file_that_cant_be_written_is_said_so(command, waiting_vm, folder):
    with waiting_vm(WITHOUT_SEV) as host:
        for out in (folder, "/dev/null", folder / "missing" / "host.cert"):
            shown = command("platform", "export", "--host", host.url, "--out", out, "--json")
            assert (shown.status, shown.code) == (6, "file-not-written")
