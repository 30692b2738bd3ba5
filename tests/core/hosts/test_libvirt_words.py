# SPDX-License-Identifier: Apache-2.0
"""What libvirt's client says, as a person is told it; and what a hostile daemon has it say."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from watchword.core.errors import HostError
from watchword.core.hosts.connect import connect_host
from watchword.core.hosts.libvirt import LibvirtHost
from watchword.core.hosts.libvirt_errors import VirshRefused
from watchword.core.hosts.limits import DEFAULT_LIMITS
from watchword.core.hosts.urls import parse_host_url
from watchword.core.hosts.virsh import Virsh

from .behaviours import Packet

UUID = "3064b1c0-c005-40ff-8185-50046e924ec1"
URL = f"libvirt+qemu:///system?domain={UUID}"
# It answers as virsh does that reads commands from a pipe: a file for each command.
STAND_IN = """#!/bin/sh
while read -r word rest; do
  case $word in
    echo) set -- $rest; echo "$1 $2" ;;
    *) cat "$0.$word" 2>/dev/null; if [ -e "$0.$word.stalls" ]; then exec sleep 60; fi ;;
  esac
done
"""
INFO = f"""sev-measurement: {"A" * 64}
sev-api-major  : 1
sev-api-minor  : 55
sev-build-id   : 24
sev-policy     : 1
"""
SEV = {"list": f"{UUID} vm1\n", "domstate": "paused\n", "domlaunchsecinfo": INFO}


@pytest.fixture
def virsh(socket_folder, monkeypatch):
    """``virsh(domstate="…")``: what its commands print."""
    program = socket_folder / "virsh"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{socket_folder}{os.pathsep}{os.environ['PATH']}")

    def prints(**answers):
        for command, text in {**SEV, **answers}.items():
            Path(f"{program}.{command.replace('_', '-')}").write_text(text)
        return program

    return prints


def asked(question, limits=DEFAULT_LIMITS):
    async def ask():
        async with await connect_host(parse_host_url(URL), limits) as host:
            return await question(host)

    return asyncio.run(ask())


def refused(question=LibvirtHost.state, limits=DEFAULT_LIMITS):
    with pytest.raises(HostError) as caught:
        asked(question, limits)
    assert caught.value.remedy
    return caught.value


def test_a_paused_sev_domain_waits_for_its_secret(virsh):
    virsh()
    state = asked(LibvirtHost.state)
    assert (state.api_major, state.api_minor, state.build) == (1, 55, 24)
    assert state.paused


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("error: authentication unavailable: no polkit agent", "libvirt-authentication-refused"),
        ("error: access denied: 'QEMU' denied access", "libvirt-authentication-refused"),
        (
            "error: Failed to connect socket to '/run/libvirt/libvirt-sock': Permission denied",
            "host-permission-denied",
        ),
        (
            "error: authentication failed: Failed to verify peer's certificate",
            "libvirt-tls-refused",
        ),
        (
            "error: Failed to connect socket to '/x': No such file or directory",
            "libvirt-unreachable",
        ),
        (
            "error: unable to connect to server at 'h:16514': No route to host",
            "libvirt-unreachable",
        ),
        ("error: Disconnected from qemu:///system due to end of file", "libvirt-unreachable"),
    ],
)
def test_each_reason_not_to_get_in_has_a_name_and_a_remedy(virsh, words, code):
    virsh(uri=f"error: failed to connect to the hypervisor\n{words}\n")
    error = refused()
    assert error.code == code
    assert "\x1b" not in str(error.as_json())


def test_a_virsh_that_has_ended_before_it_is_asked_tells_why(virsh):
    program = virsh()
    why = "error: unable to connect to server at 'h:16514': Connection refused"
    program.write_text(f'#!/bin/sh\necho "{why}"\nexit 1\n')

    async def ask():
        started = await Virsh.start("qemu:///system", URL, DEFAULT_LIMITS)
        try:
            async with asyncio.timeout(30):
                await started._process.wait()
                while not started._process.stdin.is_closing():  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.01)
            await started.run("uri")
        finally:
            await started.close()

    with pytest.raises(VirshRefused) as caught:
        asyncio.run(ask())
    assert "Connection refused" in caught.value.words
    assert refused().code == "libvirt-unreachable"


@pytest.mark.parametrize(
    "words",
    [
        "Cannot recv data: Connection reset by peer",
        "Cannot write data: Broken pipe",
        "End of file while reading data: Input/output error",
        "End of file while writing data: Input/output error",
        "internal error: client socket is closed",
        "internal error: VIR_EVENT_HANDLE_HANGUP or VIR_EVENT_HANDLE_ERROR encountered",
    ],
)
def test_an_injection_whose_connection_breaks_leaves_open_whether_it_arrived(virsh, words):
    virsh(domsetlaunchsecstate=f"error: {words}\n")
    error = refused(lambda host: host.inject(Packet()))
    assert error.code == "libvirt-unreachable"
    assert error.details["packet_arrived"] == "unknown"
    assert "another one never" in error.message


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({"domlaunchsecinfo": ""}, "sev-not-enabled"),
        ({"domlaunchsecinfo": "error: launch security is not supported\n"}, "sev-not-enabled"),
        ({"domlaunchsecinfo": INFO.replace("A" * 64, "A" * 60)}, "host-answer-malformed"),
        ({"domlaunchsecinfo": INFO.replace(": 55", ": 256")}, "host-answer-malformed"),
        ({"domlaunchsecinfo": INFO.replace(": 24", ": -1")}, "host-answer-malformed"),
        ({"domlaunchsecinfo": INFO.replace(": 24", ": ²")}, "host-answer-malformed"),
        ({"domlaunchsecinfo": "x" * 20_000_000}, "host-message-too-large"),
        ({"domstate": "shut off\n"}, "libvirt-domain-not-running"),
        ({"domstate": "error: something \x1b[31mnew\n"}, "host-refused-command"),
        ({"domstate": "\x1b[2J\n"}, "libvirt-domain-not-running"),
        ({"list": ""}, "libvirt-domain-unknown"),
        ({"list": f"{UUID[:-1]} vm1\n--help vm1\n"}, "libvirt-domain-unknown"),
    ],
)
def test_answers_that_no_honest_libvirt_gives_are_refused(virsh, answers, code):
    virsh(**answers)
    error = refused()
    assert error.code == code
    assert "\x1b" not in str(error.as_json())


def test_a_daemon_that_stalls_is_given_up_with_its_virsh(virsh):
    program = virsh()
    Path(f"{program}.domstate.stalls").touch()
    began = time.monotonic()
    error = refused(limits=replace(DEFAULT_LIMITS, command_seconds=0.3))
    assert error.code == "libvirt-timeout"
    assert time.monotonic() - began < 20
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            assert bytes(program) not in (entry / "cmdline").read_bytes()


def test_without_virsh_the_package_is_named(monkeypatch, tmp_path):
    from watchword.core.hosts import virsh

    monkeypatch.setattr(virsh, "_SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refused()
    assert error.code == "virsh-missing"
    assert "libvirt-clients" in error.remedy
