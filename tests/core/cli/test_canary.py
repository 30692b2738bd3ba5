# SPDX-License-Identifier: Apache-2.0
"""Marked secrets and keys go through every flow, and are looked for everywhere but at their end."""

from __future__ import annotations

import base64
import logging

import pytest

from watchword.core.launch import sev_steps
from watchword.core.simulator import attack_named

from .support import finish, spellings, start

SECRET = b"canary-5Zr8vQ1mXwTb7LkE"
VCPUS = ("--vcpus", "2", "--cpu", "EPYC-Milan")


@pytest.fixture
def files(session):
    return session()


@pytest.fixture
def passphrase(tmp_path):
    path = tmp_path / "passphrase"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def watch(folder, files, caplog):
    """Looks for secret and keys in what a command has left; the keys' own files are theirs."""
    caplog.set_level(logging.DEBUG)
    markers = set()
    for secret in (SECRET, files["tek"].read_bytes(), files["tik"].read_bytes()):
        markers |= spellings(secret)

    def look(*places):
        seen = [place if isinstance(place, bytes) else place.encode() for place in places]
        seen.append(caplog.text.encode())
        for path in folder.rglob("*"):
            if path.is_file() and path not in (files["tek"], files["tik"]):
                seen.append(path.read_bytes())
        for text in seen:
            assert not [marker for marker in markers if marker in text]

    return look


@pytest.fixture
def attest(command, firmware, passphrase, files):
    def run(url, *words, vcpus=VCPUS, as_json=True):
        return command(
            *("attest", "--host", url, "--tek", files["tek"], "--tik", files["tik"]),
            *("--policy", "default", "--firmware", firmware, *vcpus, *words),
            *(f"--secret=disk-passphrase={passphrase}", *(("--json",) if as_json else ())),
        )

    return run


def test_the_watch_would_see_a_leak(watch, folder):
    watch("nothing")
    for leak in (SECRET, SECRET.hex(), base64.b64encode(b"x" + SECRET), SECRET.decode() * 2):
        with pytest.raises(AssertionError):
            watch(leak)
    (folder / "leak").write_bytes("x".encode("utf-16-le") + SECRET.decode().encode("utf-16-le"))
    with pytest.raises(AssertionError):
        watch()


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
@pytest.mark.parametrize(
    ("attack", "words", "status"),
    [
        (None, (), 0),
        (None, ("--no-inject",), 0),
        (None, ("--secret=offline-kbc=/nowhere",), 6),
        (None, ("--secret=luks-key=/etc/passwd",), 6),
        (None, ("--min-api=1.56",), 3),
        (None, ("--kernel-sha256=" + "11" * 32,), 3),
        ("wrong-firmware", (), 3),
        ("cloned-launch", (), 3),
        ("state-lies", (), 4),
        ("error-with-markup", (), 4),
        ("corrupt-packet-reply", (), 4),
        ("says-injected-but-not", (), 0),
        ("disconnect-mid-command", (), 4),
        ("garbage-json", (), 4),
        ("wrong-types", (), 4),
    ],
    ids=str,
)
def test_attesting_leaks_nothing(waiting_vm, attest, files, watch, attack, words, status, as_json):
    lie = attack_named(attack) if attack else None
    with waiting_vm(files, attack=lie) as host:
        shown = attest(host.url, *words, as_json=as_json)
        assert shown.status == status, shown.out + shown.err
        # The packet's intended place, and the only one; some hosts only lie about it.
        arrives = attack in (None, "corrupt-packet-reply") and not words
        assert host.machine.memory.holds(SECRET) is arrives
        watch(shown.out, shown.err, host.host.view.data)


def test_a_host_out_of_reach_learns_nothing(attest, watch):
    for as_json in (True, False):
        shown = attest("/nowhere/vm1.sock", as_json=as_json)
        assert shown.status == 4
        watch(shown.out, shown.err)


@pytest.mark.parametrize("name", ["prepare_secrets", "seal", "verify_measurement"])
def test_a_fault_of_ours_leaks_nothing(waiting_vm, attest, files, watch, monkeypatch, name):
    def fail(*arguments, **options):
        raise RuntimeError(SECRET, files["tek"].read_bytes(), arguments)

    monkeypatch.setattr(sev_steps, name, fail)
    with waiting_vm(files) as host:
        for as_json in (True, False):
            shown = attest(host.url, as_json=as_json)
            assert shown.status == 1
            watch(shown.out, shown.err, host.host.view.data)


def test_sealing_leaks_nothing(command, files, passphrase, folder, firmware, watch):
    load = ("--firmware", firmware, *VCPUS)
    keys = ("--tek", files["tek"], "--tik", files["tik"])
    version = ("--api", "1.55", "--build", "24", "--policy", "default")
    computed = command(
        *("measurement", "compute", "--tik", files["tik"], *version, *load),
        *("--nonce", "00" * 16, "--json"),
    )
    watch(computed.out, computed.err)
    right, wrong = computed.json["blob"], base64.b64encode(bytes(48)).decode()
    secret = f"--secret=disk-passphrase={passphrase}"
    cases = [
        (0, right, (secret,)),
        (6, right, (secret,)),  # the packet is there already
        (3, wrong, (secret, "--out", folder / "other")),
        (6, right, (secret, secret, "--out", folder / "other")),
        (6, right, (secret, "--secret=offline-kbc=/nowhere", "--out", folder / "other")),
        (6, right, (secret, "--out", "/dev/null")),
    ]
    for status, blob, words in cases:
        for form in ((), ("--json",)):
            out = folder / f"packet{len(form)}"
            shown = command(
                *("secret", "seal", *keys, *version, *load, "--reported", blob),
                *("--out", out, *words, *form),
            )
            assert shown.status == status
            watch(shown.out, shown.err)


def test_verifying_leaks_nothing(command, files, watch):
    words = ("--api", "1.55", "--build", "24", "--policy", "default", "--launch-digest", "11" * 32)
    for tik in (files["tik"], files["tek"], "/nowhere"):
        for form in ((), ("--json",)):
            shown = command(
                *("measurement", "verify", "--tik", tik, *words, *form),
                *("--reported", base64.b64encode(bytes(48)).decode()),
            )
            assert shown.status in (3, 6)
            watch(shown.out, shown.err)


def test_a_real_process_with_every_warning_on_leaks_nothing(
    waiting_vm, files, passphrase, firmware, watch
):
    with waiting_vm(files) as host:
        process = start(
            *("attest", "--host", host.url, "--tek", files["tek"], "--tik", files["tik"]),
            *("--policy", "default", "--firmware", firmware, *VCPUS),
            *("--secret", f"disk-passphrase={passphrase}", "--json"),
            env={"PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1", "PYTHONWARNINGS": "default"},
        )
        shown = finish(process)
        assert shown.status == 0
        watch(shown.out, shown.err, host.host.view.data)
