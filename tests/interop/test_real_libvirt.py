# SPDX-License-Identifier: Apache-2.0
"""Launches through a real libvirtd, whose QEMU has a simulated secure processor, and troubles."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from watchword.core.errors import HostError, VerificationRefused
from watchword.core.hosts.connect import connect_host
from watchword.core.hosts.libvirt import LibvirtHost
from watchword.core.hosts.limits import DEFAULT_LIMITS
from watchword.core.hosts.urls import parse_host_url
from watchword.core.launch.record import LaunchState

from .libvirt_domain import Domain, asked, refused, virshes, wait_until

pytestmark = pytest.mark.slow


def test_a_launch_through_libvirt_puts_the_secret_into_the_guests_memory(domain: Domain) -> None:
    launch_id = domain.prepare()
    assert domain.virsh("domstate", "vm1").strip() == "shut off"
    domain.take_on(launch_id, "measurement")
    assert domain.virsh("domstate", "vm1").strip() == "paused"
    assert not domain.has_the_secret
    launch = domain.take_on(launch_id)
    assert domain.has_the_secret
    assert domain.state(launch_id) is LaunchState.RUNNING
    assert domain.virsh("domstate", "vm1").strip() == "running"
    assert "PEK signed" in str(launch.facts["run"].record["running"])
    (packet,) = domain.machine.processor.packets[-1:]
    assert packet.handle == domain.guest.machine.handle


def test_a_launch_that_was_interrupted_goes_on_with_the_domain_that_it_started(
    domain: Domain,
) -> None:
    launch_id = domain.prepare()
    domain.take_on(launch_id, "start")
    started = len(domain.machine.guests)
    domain.take_on(launch_id)
    assert len(domain.machine.guests) == started
    assert domain.state(launch_id) is LaunchState.RUNNING


def test_a_changed_vm_is_refused_and_gets_no_secret(domain: Domain) -> None:
    launch_id = domain.prepare()
    loader = domain.daemon.folder / "OVMF.fd"
    data = bytearray(loader.read_bytes())
    data[100] ^= 1
    loader.write_bytes(data)
    before = len(domain.machine.processor.packets)
    with pytest.raises(VerificationRefused) as caught:
        domain.take_on(launch_id)
    assert caught.value.code == "measurement-mismatch"
    assert len(domain.machine.processor.packets) == before
    assert not domain.has_the_secret


def test_differences_of_the_domain_are_warnings_before_anything_is_started(
    domain: Domain,
) -> None:
    domain.define(
        ("</os>", "<kernel>/boot/vmlinuz</kernel></os>"),
        ("OVMF.fd", "OVMF-2.fd"),
    )
    shutil.copy(domain.daemon.folder / "OVMF.fd", domain.daemon.folder / "OVMF-2.fd")
    with domain.desk() as desk, desk.new(domain.office.order(host=domain.url)) as run:

        async def prepared():
            await run.run(until="session")
            return await run.domain_warnings()

        warnings = asyncio.run(prepared())
    assert [warning.split(":")[0] for warning in warnings] == [
        "The domain's os/loader",
        "The domain's os/kernel",
    ]
    assert "OVMF-2.fd" in warnings[0]
    assert "/boot/vmlinuz" in warnings[1]


def test_what_the_started_domain_has_is_told_in_the_record(domain: Domain) -> None:
    launch = domain.take_on(domain.prepare(), "start")
    (warning,) = launch.facts["start"].record["warnings"]
    assert warning.startswith("The domain's os/loader: ")
    assert "the very bytes that were approved" in warning


def test_the_host_tells_its_domains_and_how_many_guests_fit(domain: Domain) -> None:
    (row,) = asked(domain.daemon.url(), LibvirtHost.guests)
    assert (row.name, row.uuid) == ("vm1", domain.virsh("domuuid", "vm1").strip())
    node = asked(domain.daemon.url(), LibvirtHost.node)
    # This user may not open /dev/kvm, so that libvirt can't count.
    assert (node.sev_guests, node.sev_es_guests) == (0, 0)


def test_a_plain_vm_is_said_to_be_open_to_the_host(domain: Domain) -> None:
    domain.virsh("start", "vm1", "--paused")
    error = refused(domain.url, LibvirtHost.state)
    assert error.code == "sev-not-enabled"
    assert "--merge" in error.remedy
    assert refused(domain.url, LibvirtHost.measurement).code == "sev-not-enabled"


def test_a_domain_that_others_started_is_left_alone(domain: Domain) -> None:
    launch_id = domain.prepare()
    domain.virsh("start", "vm1")
    error = domain.fails(launch_id)
    assert error.code == "libvirt-domain-runs"
    assert domain.state(launch_id) is LaunchState.PREPARED
    domain.virsh("destroy", "vm1")
    domain.take_on(launch_id)
    assert domain.has_the_secret


def test_a_name_that_libvirt_does_not_know(domain: Domain) -> None:
    error = refused(domain.daemon.url("other"), LibvirtHost.state)
    assert error.code == "libvirt-domain-unknown"
    error = refused(domain.daemon.url(), LibvirtHost.state)
    assert error.code == "libvirt-no-domain"


def test_a_qemu_that_ended_is_told_and_the_launch_begins_with_its_start_again(
    domain: Domain,
) -> None:
    launch_id = domain.prepare()
    domain.take_on(launch_id, "start")
    os.kill(domain.guest.pid, signal.SIGKILL)
    wait_until(lambda: domain.virsh("domstate", "vm1").strip() == "shut off")
    assert refused(domain.url, LibvirtHost.state).code == "libvirt-domain-not-running"
    domain.take_on(launch_id)
    assert domain.has_the_secret


def test_a_host_that_was_rebooted_before_the_start_loses_nothing(domain: Domain) -> None:
    launch_id = domain.prepare()
    domain.daemon.kill()
    error = domain.fails(launch_id)
    assert error.code == "libvirt-unreachable"
    assert domain.state(launch_id) is LaunchState.PREPARED
    domain.daemon.start()
    domain.take_on(launch_id)
    assert domain.has_the_secret


def test_a_vm_that_ended_after_the_sealing_is_not_started_again_and_gets_no_packet(
    domain: Domain,
) -> None:
    launch_id = domain.prepare()
    domain.take_on(launch_id, "secret")
    packets, started = len(domain.machine.processor.packets), len(domain.machine.guests)
    domain.virsh("destroy", "vm1")
    error = domain.fails(launch_id)
    assert error.code == "sealed-vm-gone"
    assert "abandon" in error.remedy
    assert domain.virsh("domstate", "vm1").strip() == "shut off"
    assert len(domain.machine.guests) == started
    assert len(domain.machine.processor.packets) == packets


def test_a_vm_that_an_operator_started_anew_after_the_sealing_gets_no_packet(
    domain: Domain,
) -> None:
    launch_id = domain.prepare()
    domain.take_on(launch_id, "secret")
    packets = len(domain.machine.processor.packets)
    text = domain.virsh("dumpxml", "--security-info", "vm1")
    domain.virsh("destroy", "vm1")
    path = domain.daemon.folder / "again.xml"
    path.write_text(text)
    domain.virsh("create", "--paused", path)
    with pytest.raises(VerificationRefused) as caught:
        domain.take_on(launch_id)
    assert caught.value.code == "another-vm"
    assert len(domain.machine.processor.packets) == packets
    assert not domain.has_the_secret


def test_a_daemon_that_stalls_is_given_up_and_the_launch_goes_on_later(domain: Domain) -> None:
    launch_id = domain.prepare()
    hasty = replace(DEFAULT_LIMITS, connect_seconds=0.5, greeting_seconds=0.5)
    os.kill(domain.daemon.pid, signal.SIGSTOP)
    try:
        assert domain.fails(launch_id, limits=hasty).code == "libvirt-timeout"
    finally:
        os.kill(domain.daemon.pid, signal.SIGCONT)
    domain.take_on(launch_id)
    assert domain.has_the_secret


def test_a_daemon_that_dies_in_mid_command_is_a_lost_connection(domain: Domain) -> None:
    async def dying():
        async with await connect_host(parse_host_url(domain.url)) as host:
            os.kill(domain.daemon.pid, signal.SIGSTOP)
            asking = asyncio.create_task(host.platform())
            await asyncio.sleep(0.3)
            domain.daemon.kill()
            with pytest.raises(HostError) as caught:
                await asking
            return caught.value

    try:
        assert asyncio.run(dying()).code in ("libvirt-unreachable", "libvirt-connection-lost")
    finally:
        domain.daemon.start()
    assert asked(domain.url, LibvirtHost.platform).pdh


def test_cancelling_ends_virsh_at_once_and_leaves_no_process(domain: Domain) -> None:
    async def cancelled():
        host = await connect_host(parse_host_url(domain.url))
        os.kill(domain.daemon.pid, signal.SIGSTOP)
        try:
            asking = asyncio.create_task(host.platform())
            await asyncio.sleep(0.1)
            assert virshes(domain.daemon) != []
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                async with asyncio.timeout(10):  # the command itself would take 15
                    await asking
            assert virshes(domain.daemon) == []
        finally:
            os.kill(domain.daemon.pid, signal.SIGCONT)
            await host.close()

    asyncio.run(cancelled())


def test_nobody_at_the_socket(domain: Domain) -> None:
    url = domain.url.replace("libvirt-sock", "nobody")
    error = refused(url, LibvirtHost.state)
    assert error.code == "libvirt-unreachable"
    assert "nobody" in error.message


def test_a_packet_whose_arrival_is_not_known_is_sent_again_the_very_same(domain: Domain) -> None:
    launch_id = domain.prepare()
    domain.take_on(launch_id, "measurement")
    domain.machine.delays["sev-inject-launch-secret"] = 2.0
    try:
        hasty = replace(DEFAULT_LIMITS, inject_seconds=0.5)
        error = domain.fails(launch_id, limits=hasty)
    finally:
        domain.machine.delays.clear()
    assert (error.code, error.details["packet_arrived"]) == ("libvirt-timeout", "unknown")
    assert "watchword launch" in error.remedy or "again" in error.message
    domain.take_on(launch_id)
    assert domain.has_the_secret
    assert domain.machine.processor.distinct_packets(domain.guest.machine.handle) == 1


def test_the_folder_for_temporary_files_may_have_any_name(
    domain: Domain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / 'ö; "x" \\ $y'
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    domain.take_on(domain.prepare())
    assert domain.has_the_secret
    assert list(folder.iterdir()) == []
