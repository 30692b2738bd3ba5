# SPDX-License-Identifier: Apache-2.0
"""What an operator is told to type is what his programs take."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from watchword.core.hosts import exchange_instructions as texts
from watchword.core.hosts.exchange_secret import run_files, secret_files
from watchword.core.hosts.exchange_start import start_files
from watchword.core.hosts.protocol import PlatformAnswer, StartOrder
from watchword.core.simulator import PlatformKeys, SimulatedHost

from .exchange_people import LAUNCH, b64, converse

ORDER = StartOrder(
    bytes(range(256)) * 8 + bytes(36),
    bytes(range(128)),
    0x1100002F,
    kernel_hashes=True,
    contents=("firmware OVMF.fd", "command line “quiet”\x1b[31m", "<b>2 vCPUs</b>"),
)
PLATFORM = PlatformAnswer(bytes(2084), bytes(6252), None, 51, 1)
DOMAIN_SCHEMA = "/usr/share/libvirt/schemas/domain.rng"


class Packet:
    """The largest packet that KVM takes."""

    header = bytes(range(52))
    ciphertext = bytes(16384)


READMES = {
    "1": texts.platform_request(LAUNCH),
    "2": start_files(LAUNCH, ORDER, PLATFORM)["README.txt"].decode(),
    "2, bits not known": start_files(LAUNCH, ORDER, None)["README.txt"].decode(),
    "4": secret_files(LAUNCH, Packet())["README.txt"].decode(),
    "4, no secret": run_files(LAUNCH)["README.txt"].decode(),
}


@pytest.mark.parametrize("name", READMES)
def test_a_text_is_plain_and_says_what_a_checksum_is_worth(name):
    text = READMES[name]
    assert text.isascii()
    assert all(line.isprintable() for line in text.splitlines())
    assert "catches copying errors only" in text
    assert "HMAC" in text
    assert LAUNCH in text
    assert "watchword" not in text.lower()


def test_steps_are_numbered_without_a_gap():
    for name, last in (("2", 4), ("4", 4), ("4, no secret", 3)):
        numbers = [int(n) for n in re.findall(r"^(\d)\. ", READMES[name], re.MULTILINE)]
        assert numbers == list(range(1, last + 1)), name


def test_what_the_owner_approved_is_told_without_steering_the_terminal():
    assert "- firmware OVMF.fd\n" in READMES["2"]
    assert "\\x1b[31m" in READMES["2"]
    assert "\\u201cquiet\\u201d" in READMES["2"]


def test_qemus_options_name_the_files_and_the_policy():
    files = start_files(LAUNCH, ORDER, PLATFORM)
    options = files["qemu-options.txt"].decode()
    (sev,) = re.findall(r"-object (\S+)", options)
    assert sev.split(",") == [
        *("sev-guest", "id=sev0", "cbitpos=51", "reduced-phys-bits=1", "policy=0x1100002f"),
        *("dh-cert-file=godh.b64", "session-file=session.b64", "kernel-hashes=on"),
    ]
    assert "confidential-guest-support=sev0" in options
    assert " -S " in options.replace("\n", " ")
    assert {"godh.b64", "session.b64"} <= files.keys()
    assert "CBITPOS" in start_files(LAUNCH, ORDER, None)["qemu-options.txt"].decode()
    assert "CPUID 0x8000001F" in READMES["2, bits not known"]
    assert "CPUID" not in READMES["2"]


def test_the_binary_files_are_the_same_as_the_ones_in_base64():
    files = start_files(LAUNCH, ORDER, PLATFORM)
    assert files["godh.b64"].decode() == b64(files["godh.cert"])
    assert files["session.b64"].decode() == b64(files["launch_blob.bin"])
    assert files["godh.cert"] == ORDER.owner_dh_certificate
    assert files["launch_blob.bin"] == ORDER.launch_blob


@pytest.mark.parametrize("platform", [PLATFORM, None])
def test_libvirts_element_has_what_libvirt_wants(platform):
    files = start_files(LAUNCH, ORDER, platform)
    element = ET.fromstring(files["launchSecurity.xml"])
    assert element.attrib == {"type": "sev", "kernelHashes": "yes"}
    found = {child.tag: "".join((child.text or "").split()) for child in element}
    bits = {"cbitpos": "51", "reducedPhysBits": "1"} if platform else {}
    godh, session = files["godh.b64"].decode(), files["session.b64"].decode()
    assert found == {"policy": "0x1100002f", "dhCert": godh, "session": session, **bits}


def test_a_domain_with_the_element_keeps_libvirts_schema(program, tmp_path):
    program("virt-qemu-sev-validate", "libvirt-clients-qemu")
    if not Path(DOMAIN_SCHEMA).is_file():
        pytest.skip("no domain.rng (it comes with Debian package libvirt-clients-qemu)")
    for number, order in enumerate((ORDER, StartOrder(bytes(2084), bytes(128), 5))):
        element = start_files(LAUNCH, order, PLATFORM)["launchSecurity.xml"].decode()
        (tmp_path / f"{number}.xml").write_text(
            "<domain type='kvm'><name>vm1</name><memory>1</memory>"
            f"<os><type arch='x86_64' machine='q35'>hvm</type></os>{element}</domain>"
        )
    check = (
        "import sys\nfrom lxml import etree\n"
        f"schema = etree.RelaxNG(etree.parse({DOMAIN_SCHEMA!r}))\n"
        "for name in sys.argv[1:]:\n    schema.assertValid(etree.parse(name))\n"
    )
    names = [str(path) for path in sorted(tmp_path.glob("*.xml"))]
    result = subprocess.run(
        ["/usr/bin/python3", "-c", check, *names],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr[-500:]


@pytest.mark.parametrize(
    ("lines", "commands"),
    [
        (
            start_files(LAUNCH, ORDER, PLATFORM)["ask.qmp"],
            ["query-sev", "query-status", "query-cpus-fast", "query-sev-launch-measure"],
        ),
        (secret_files(LAUNCH, Packet())["inject.qmp"], ["sev-inject-launch-secret"]),
        (
            secret_files(LAUNCH, Packet())["run.qmp"],
            ["cont", "query-sev", "query-status", "query-sev-attestation-report"],
        ),
        (run_files(LAUNCH)["run.qmp"], ["cont", "query-sev", "query-status"]),
    ],
)
def test_each_line_for_qmp_is_a_command_that_names_the_launch(lines, commands):
    messages = [json.loads(line) for line in lines.decode().splitlines()]
    assert [message["execute"] for message in messages] == ["qmp_capabilities", *commands]
    assert {message["id"] for message in messages} == {f"watchword:{LAUNCH}"}


def test_the_packet_stands_in_the_command_as_in_the_files():
    files = secret_files(LAUNCH, Packet())
    arguments = json.loads(files["inject.qmp"].decode().splitlines()[1])["arguments"]
    assert arguments["packet-header"] == files["secret-header.b64"].decode() == b64(Packet.header)
    assert arguments["secret"] == files["secret.b64"].decode() == b64(Packet.ciphertext)


def test_the_shell_line_makes_the_file_that_mail_can_not_carry(tmp_path):
    files = secret_files(LAUNCH, Packet())
    for name in ("secret-header.b64", "secret.b64"):
        wrapped = re.sub("(.{64})", r"\1\r\n", files[name].decode())
        (tmp_path / name).write_text(wrapped + "\r\n")
    assert texts.MAKE_INJECT in READMES["4"]
    subprocess.run(["/bin/sh", "-ec", texts.MAKE_INJECT], cwd=tmp_path, check=True, timeout=30)
    first, _, rest = (tmp_path / "inject.qmp").read_text().partition("\n")
    assert json.loads(first) == {"execute": "qmp_capabilities"}
    told = json.loads(files["inject.qmp"].decode().splitlines()[1])
    assert json.loads(rest) == {key: value for key, value in told.items() if key != "id"}


def test_the_checksums_are_what_sha256sum_wants(tmp_path):
    from watchword.core.hosts.exchange_checksums import checksum_lines

    files = start_files(LAUNCH, ORDER, PLATFORM)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "SHA256SUMS").write_bytes(checksum_lines(files))
    check = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    result = subprocess.run(check, cwd=tmp_path, capture_output=True, check=False, timeout=30)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(b": OK") == len(files)


def test_the_pipe_for_a_qemu_without_a_guest_is_what_qmp_takes():
    """The shell's part of it: what printf sends to QEMU's standard input."""
    (command,) = re.findall(r"    (printf .*?) \|\n", READMES["1"], re.DOTALL)
    sent = subprocess.run(
        ["/bin/sh", "-ec", command], capture_output=True, text=True, check=True, timeout=30
    ).stdout

    async def main():
        async with SimulatedHost(PlatformKeys.generate(2048)) as host:
            monitor = await host.open_monitor()
            return await converse(monitor.address, sent)

    said = asyncio.run(main())
    assert '"cert-chain"' in said
    assert '"error"' not in said
