# SPDX-License-Identifier: Apache-2.0
"""AMD's copy of a CEK: fetched, cached, pinned, and refused where it is another key's."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

CHIP = "ab" * 64


class Service(BaseHTTPRequestHandler):
    """Serves one certificate for every chip id, and counts the questions."""

    def do_GET(self):
        self.server.asked.append(self.path)
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def service(monkeypatch, tmp_path):
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WATCHWORD_KEY_SERVICE", raising=False)
    server = HTTPServer(("127.0.0.1", 0), Service)
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def naples(vectors):
    folder = vectors / "chains" / "naples"
    return {path.stem: path.read_bytes() for path in folder.glob("*.cert")}


@pytest.fixture
def unsigned(naples, tmp_path):
    """The chain as a host hands it out: no ASK, no ARK, and a CEK without its signature."""
    empty = b"\x00\x10\x00\x00" + bytes(516)
    path = tmp_path / "host_chain.cert"
    cek = naples["cek"][:0x414] + 2 * empty
    path.write_bytes(naples["pdh"] + naples["pek"] + naples["oca"] + cek)
    return path


def test_a_chain_with_an_unsigned_cek_is_refused_without_asking_anybody(
    command, service, unsigned, naples
):
    service.answer = (200, naples["cek"])
    outcome = command("platform", "verify", unsigned, "--key-service", service.url, "--json")
    assert outcome.status == 3
    assert service.asked == []
    assert "key service" in outcome.json["error"]["remedy"]


def test_a_cek_is_fetched_by_chip_id_kept_and_found_again_offline(
    command, service, naples, tmp_path
):
    service.answer = (200, naples["cek"])
    out = tmp_path / "cek.cert"
    ask = ("platform", "fetch-cek", "--chip-id", CHIP, "--key-service", service.url, "--json")
    first = command(*ask, "--out", out)
    assert first.status == 0
    assert first.json["generation"] == "naples"
    assert first.json["chip_id"] == CHIP
    assert first.json["origin"] == "key-service"
    assert first.json["cek_sha256"] == hashlib.sha256(naples["cek"][:0x414]).hexdigest()
    assert out.read_bytes() == naples["cek"]
    assert service.asked == [f"/cek/id/{CHIP}"]
    assert "chip id" in first.err  # it learns that, and the program says so
    again = command(*ask, "--offline")
    assert (again.status, again.json["origin"], len(service.asked)) == (0, "cache", 1)


def test_a_cached_cek_completes_the_hosts_chain_without_network(command, service, unsigned, naples):
    service.answer = (200, naples["cek"])
    command("platform", "fetch-cek", "--chip-id", CHIP, "--key-service", service.url)
    outcome = command("platform", "verify", unsigned, "--json")
    assert (outcome.status, outcome.json["root"]) == (0, "amd")
    assert len(service.asked) == 1


def test_amds_copy_may_be_given_as_a_file(command, service, unsigned, naples, tmp_path):
    copy = tmp_path / "amd_cek.cert"
    copy.write_bytes(naples["cek"])
    outcome = command("platform", "verify", unsigned, "--cek", copy, "--json")
    assert (outcome.status, outcome.json["root"]) == (0, "amd")


def test_a_host_that_tells_no_chip_id_is_said_what_prints_it(command, service, unsigned):
    service.answer = (404, b"")
    outcome = command(
        "platform", "verify", unsigned, "--fetch-cek", "--key-service", service.url, "--json"
    )
    assert (outcome.status, outcome.code) == (4, "chip-id-missing")
    assert "sevctl" in outcome.error["remedy"]


@pytest.mark.parametrize(
    ("status", "code"), [(404, "key-service-unknown-chip"), (403, "key-service-wrong-answer")]
)
def test_a_service_that_says_no_ends_in_words(command, service, status, code):
    service.answer = (status, b"no")
    ask = ("platform", "fetch-cek", "--chip-id", CHIP, "--key-service", service.url, "--json")
    outcome = command(*ask)
    assert (outcome.status, outcome.code) == (4, code)
    assert command(*ask, "--offline").status == 6


def test_a_chip_can_be_pinned_by_its_ceks_fingerprint(command, naples, tmp_path):
    files = []
    for name in ("pdh", "pek", "oca", "cek"):
        files.append(tmp_path / f"{name}.cert")
        files[-1].write_bytes(naples[name])
    fingerprint = hashlib.sha256(naples["cek"][:0x414]).hexdigest()
    other = "00" * 32
    verify = ("platform", "verify", *files, "--json")
    assert command(*verify, "--pin-cek", fingerprint).status == 0
    assert command(*verify, "--pin-cek", other, "--pin-cek", fingerprint).status == 0
    refused = command(*verify, "--pin-cek", other)
    assert refused.status == 3
    link = next(link for link in refused.json["links"] if link["certificate"] == "cek")
    assert link["verdict"] == "failed"
    assert "pinned" in link["reason"]
    assert command(*verify, "--pin-cek", "beef").status == 2


@pytest.mark.parametrize("words", [(), ("--chip-id", "zz"), ("--chip-id", CHIP, "--host", "x")])
def test_a_chip_is_named_in_one_way(command, service, words):
    assert command("platform", "fetch-cek", *words).status in (2, 6)
    assert service.asked == []
