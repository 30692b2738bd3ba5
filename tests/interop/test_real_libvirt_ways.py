# SPDX-License-Identifier: Apache-2.0
"""A real libvirtd by the command line up to an unlocked disk, by virsh itself, by SSH and TLS."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watchword.core.errors import HostError
from watchword.core.guest.store import ProfileStore
from watchword.core.hosts.connect import connect_host
from watchword.core.hosts.libvirt import LibvirtHost
from watchword.core.hosts.libvirt_events import DomainEvents
from watchword.core.hosts.libvirt_url import LibvirtAddress, Transport
from watchword.core.hosts.urls import parse_host_url
from watchword.core.sev.policy import parse_policy

from ..core.hosts.ssh_server import SshServer
from ..core.hosts.tls_server import Authority, free_port, listens
from ..core.launch.support import PASSPHRASE as VAULT_PASSPHRASE
from ..core.launch.support import POLICY, SECRET, add_secret, make_profile, open_vault
from ..core.rehearsal.locked_disk import PASSPHRASE, TOOLS, UNLOCKED, find_artifacts, make_disk
from .command_line import Answer, watchword
from .libvirt_daemon import NOBODY, LibvirtDaemon
from .libvirt_domain import Domain, asked, refused, wait_until

pytestmark = pytest.mark.slow

WAIVER = "--waive-firmware=a test: this firmware falls through, and prompts"
CMDLINE = "console=ttyS0"


class CommandLine:
    """Watchword's commands with the home of a domain's owner."""

    def __init__(self, domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = domain.office.home
        self._passphrase = self.home / "passphrase"
        self._passphrase.write_bytes(VAULT_PASSPHRASE + b"\n")
        monkeypatch.setenv("WATCHWORD_HOME", str(self.home))
        self.ark = self.home / "ark.cert"
        self.ark.write_bytes(domain.office.keys.root.ark)
        # What the host hands out, and AMD's signed copy of the CEK with its signer.
        self.signed = self.home / "signed.cert"
        self.signed.write_bytes(domain.office.keys.full_chain)

    def launch(self, *words: str | Path) -> Answer:
        return watchword("launch", *words, "--passphrase-file", self._passphrase)


@pytest.fixture
def owner(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(domain, monkeypatch)


def test_the_command_line_starts_a_domain_that_opens_its_disk_with_the_secret(
    domain: Domain,
    owner: CommandLine,
    program: Callable[[str, str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    for name, package in TOOLS.items():
        program(name, package)
    artifacts = find_artifacts()
    if artifacts is None:
        pytest.skip("no ../shared/rehearsal/artifacts")
    folder = domain.daemon.folder
    disk = shutil.move(make_disk(artifacts, tmp_path_factory.mktemp("disk")), folder / "disk.img")
    if os.getuid() == 0:
        os.chown(disk, NOBODY, NOBODY)
    for path in (artifacts.kernel, artifacts.initrd):
        shutil.copyfile(path, folder / path.name)
    console = folder / "home" / "console"
    domain.office.firmware = artifacts.firmware
    boot = "".join(
        f"<{tag}>{text}</{tag}>"
        for tag, text in (
            ("kernel", folder / artifacts.kernel.name),
            ("initrd", folder / artifacts.initrd.name),
            ("cmdline", CMDLINE),
        )
    )
    devices = (
        f"<serial type='file'><source path='{console}'/></serial><disk type='file' device='disk'>"
        f"<driver name='qemu' type='raw'/><source file='{disk}'/>"
        "<target dev='vda' bus='virtio'/></disk></devices>"
    )
    domain.define(("</os>", f"{boot}</os>"), ("</devices>", devices), (">64<", ">512<"))
    with open_vault(owner.home) as vault:
        add_secret(vault, PASSPHRASE)
    profile = make_profile(
        artifacts.firmware,
        kernel=[{"path": str(artifacts.kernel)}],
        initrd=[{"path": str(artifacts.initrd)}],
        cmdline=[CMDLINE],
        host=domain.url,
    )
    ProfileStore(owner.home / "guests").add(profile)

    prepared = owner.launch(
        *("prepare", "vm1", "--cek", owner.signed, "--trust-root", owner.ark),
        *("--out", owner.home / "start", WAIVER),
    )
    assert prepared.status == 8, prepared.payload
    told = prepared.payload["domain_warnings"]
    assert [one.split(":")[0] for one in told] == [
        "The domain's os/loader",
        "The domain's os/kernel",
        "The domain's os/initrd",
    ]
    done = owner.launch("complete", prepared.payload["launch_id"])
    assert done.status == 8, done.payload
    assert done.payload["state"] == "running"
    wait_until(lambda: console.is_file() and UNLOCKED in console.read_text(errors="replace"), 60)


def test_virsh_itself_sets_the_secret_from_the_files_that_we_write(
    domain: Domain, owner: CommandLine
) -> None:
    keys, give, packet = (owner.home / name for name in ("keys", "give", "packet"))
    made = watchword(
        *("session", "create", owner.signed, "--trust-root", owner.ark, "--policy", POLICY),
        *("--out", give, "--export-keys", keys, "--name", "vm1"),
    ).good()
    assert made
    sev = (
        f"<launchSecurity type='sev'><policy>0x{parse_policy(POLICY).value:x}</policy>"
        f"<dhCert>{(give / 'vm1_godh.b64').read_text()}</dhCert>"
        f"<session>{(give / 'vm1_session.b64').read_text()}</session></launchSecurity></domain>"
    )
    domain.define(("</domain>", sev))
    domain.virsh("start", "vm1", "--paused")
    said = dict(
        map(str.strip, line.split(":", 1))
        for line in domain.virsh("domlaunchsecinfo", "vm1").splitlines()
        if line
    )
    (owner.home / "secret").write_bytes(SECRET)
    sealed = watchword(
        *("secret", "seal", "--tek", keys / "vm1_tek.bin", "--tik", keys / "vm1_tik.bin"),
        *("--api", f"{said['sev-api-major']}.{said['sev-api-minor']}"),
        *("--build", said["sev-build-id"], "--policy", POLICY),
        *("--reported", said["sev-measurement"], "--firmware", domain.office.firmware),
        *("--secret", f"disk-passphrase={owner.home / 'secret'}", "--out", packet, WAIVER),
    )
    assert sealed.status in (0, 8), sealed.payload
    files = ("--secrethdr", packet / "header.b64", "--secret", packet / "payload.b64")
    wrong = bytearray((packet / "payload.bin").read_bytes())
    wrong[0] ^= 1
    (packet / "wrong.b64").write_bytes(base64.b64encode(wrong))
    tampered = domain.daemon.virsh(
        *("domsetlaunchsecstate", "vm1", *files[:3], packet / "wrong.b64")
    )
    assert "fw_error=11" in tampered.stderr
    assert not domain.has_the_secret
    domain.virsh("domsetlaunchsecstate", "vm1", *files)
    assert domain.has_the_secret


def test_preflight_and_guests_over_libvirt(domain: Domain, owner: CommandLine) -> None:
    trusting = ("--cek", owner.signed, "--trust-root", owner.ark)
    answer = watchword("platform", "preflight", "--host", domain.url, *trusting)
    found = {one["about"]: one for one in answer.payload["findings"]}
    assert found["node"]["sentence"].startswith("The host says of itself: SEV guests at most: 0")
    assert found["chain"]["standing"] == "warning"
    guests = watchword("platform", "guests", "--host", domain.daemon.url())
    assert [one["name"] for one in guests.payload["guests"]] == ["vm1"]
    one = watchword("platform", "guests", "--host", "exchange:///nowhere")
    assert (one.status, one.code) == (2, "host-lists-no-guests")


@pytest.fixture(scope="module")
def sshd(program: Callable[[str, str], Path]):
    with SshServer(program("sshd", "openssh-server"), program("ssh", "openssh-client")) as server:
        yield server


def test_a_launch_goes_through_our_own_ssh_to_the_daemons_socket(
    domain: Domain, sshd: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", sshd.path)
    there = sshd.address(domain.daemon.socket)
    address = LibvirtAddress(
        Transport.SSH,
        parse_host_url(domain.url).instance,
        "vm1",
        there.host,
        there.user,
        there.port,
        socket=there.path,
    )
    domain.url = address.url
    domain.take_on(domain.prepare())
    assert domain.has_the_secret
    assert sshd.connections() == []

    sshd.allow(sshd.folder / "other_key")
    error = refused(domain.url, LibvirtHost.state)
    assert error.code == "ssh-authentication-refused"
    sshd.allow(sshd.folder / "user_key")

    async def cut():
        async with await connect_host(address) as host:
            sshd.signal_connections(9)
            with pytest.raises(Exception) as caught:  # noqa: PT011 - its code is looked at
                await host.state()
            return caught.value

    assert asyncio.run(cut()).code in ("libvirt-unreachable", "libvirt-connection-lost")


def test_domain_events_come_by_ssh_and_their_end_is_an_error(
    domain: Domain, sshd: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", sshd.path)
    there = sshd.address(domain.daemon.socket)
    address = LibvirtAddress(
        Transport.SSH,
        parse_host_url(domain.url).instance,
        host=there.host,
        user=there.user,
        port=there.port,
        socket=there.path,
    )

    async def told(events: DomainEvents, change: str) -> None:
        async with asyncio.timeout(60):
            while (await anext(events)).change != change:
                pass

    async def story() -> str:
        async with await DomainEvents.connect(address) as events:
            await told(events, "defined")
            await asyncio.to_thread(domain.virsh, "start", "--paused", "vm1")
            await told(events, "suspended")
            sshd.signal_connections(9)
            with pytest.raises(HostError) as caught:
                await told(events, "stopped")
            return caught.value.code

    assert asyncio.run(story()) in ("libvirt-unreachable", "libvirt-connection-lost")
    wait_until(lambda: sshd.connections() == [])


@pytest.fixture
def tls(domain: Domain) -> Iterator[Tls]:
    tls = Tls(domain.daemon)
    domain.daemon.kill()
    domain.daemon.start("--listen", "--config", tls.config)
    wait_until(lambda: listens(tls.port))
    yield tls
    domain.daemon.kill()
    domain.daemon.start()


class Tls:
    """The daemon's port behind TLS, and folders with what a client shows and trusts."""

    def __init__(self, daemon: LibvirtDaemon) -> None:
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(dir=daemon.folder))
        self._own = Authority()
        there = self._own.folder(self._folder / "there", "server", names=("127.0.0.1",))
        self._folder.chmod(0o755)
        if os.getuid() == 0:
            for path in there.iterdir():
                os.chown(path, NOBODY, NOBODY)
        self.config = self._folder / "libvirtd.conf"
        settings = {
            "listen_tls": 1,
            "listen_tcp": 0,
            "tls_port": f'"{self.port}"',
            "listen_addr": '"127.0.0.1"',
            "auth_tls": '"none"',
            "key_file": f'"{there}/server-key.pem"',
            "cert_file": f'"{there}/server-cert.pem"',
            "ca_file": f'"{there}/ca-cert.pem"',
        }
        text = "".join(f"{name} = {value}\n" for name, value in settings.items())
        self.config.write_text(text)

    def client(self, name: str, authority: Authority | None = None, trust: bool = True) -> Path:
        """A folder as libvirt's pkipath wants it."""
        issuer = authority or self._own
        made = issuer.folder(self._folder / name, "client")
        for kind in ("cert", "key"):
            (made / f"client-{kind}.pem").rename(made / f"client{kind}.pem")
        (made / "ca-cert.pem").unlink()
        (self._own if trust else issuer).write(made / "cacert.pem")
        return made

    def url(self, folder: Path, host: str = "127.0.0.1") -> str:
        """Watchword's, for the domain."""
        return f"libvirt+qemu+tls://{host}:{self.port}/session?domain=vm1&pkipath={folder}"


def test_over_tls_names_and_certificates_are_verified_both_ways(domain: Domain, tls: Tls) -> None:
    good = tls.url(tls.client("good"))
    assert asked(good, LibvirtHost.platform).pdh
    found = {
        what: refused(url, LibvirtHost.platform).code
        for what, url in (
            ("name", good.replace("127.0.0.1", "localhost")),
            ("ca", tls.url(tls.client("other-ca", Authority("other"), trust=False))),
            ("client", tls.url(tls.client("stranger", Authority("other")))),
            ("folder", tls.url(Path("/nonexistent"))),
        )
    }
    assert found == {
        "name": "libvirt-tls-refused",
        "ca": "libvirt-tls-refused",
        "client": "libvirt-tls-refused",
        "folder": "libvirt-tls-refused",
    }
    domain.url = good
    domain.take_on(domain.prepare())
    assert domain.has_the_secret
