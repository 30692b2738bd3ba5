# SPDX-License-Identifier: Apache-2.0
"""Secret packets of both makers, offered to the simulated secure processor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest

from watchword.core.errors import HostError
from watchword.core.sev.secret_table import DISK_PASSPHRASE, parse_table
from watchword.core.simulator import VirtualMachine

from .claims import Claim, Guest, validator_words, watchword_words
from .command_line import Answer, watchword
from .desk import REASON, Desk
from .peer_validator import Validator
from .table import Counts
from .verdicts import Verdict

POLICY = 0x1100002F
KATA = UUID("0a46e24d-478c-4eb1-8696-113eeec3aa99")
OWN = UUID("11111111-2222-3333-4444-555555555555")
GUEST = Guest(vcpus=2)
# Header and entry header, 20 bytes each: with 8 bytes the table is a multiple of 16.
WHOLE_BLOCKS = 8
Secrets = Mapping[UUID, bytes]


@dataclass(frozen=True, slots=True)
class Packet:
    """Header and payload in base64, as QMP and libvirt take them."""

    header: str
    payload: str

    @classmethod
    def read(cls, header: Path, payload: Path) -> Packet:
        return cls(header.read_text(), payload.read_text())


def secret_files(folder: Path, secrets: Secrets) -> dict[UUID, Path]:
    files = {}
    for number, (guid, content) in enumerate(secrets.items()):
        files[guid] = folder / f"secret{number}"
        files[guid].write_bytes(content)
    return files


def validators_packet(
    validator: Validator, claim: Claim, secrets: Secrets, folder: Path
) -> Packet | None:
    """What virt-qemu-sev-validate writes for these secrets; None if it writes nothing."""
    header, payload = folder / "header", folder / "payload"
    orders = [
        f"--inject-secret={'luks-key' if guid == DISK_PASSPHRASE else guid}:{path}"
        for guid, path in secret_files(folder, secrets).items()
    ]
    answer = validator(
        *validator_words(claim), *orders, f"--secret-header={header}", f"--secret-payload={payload}"
    )
    assert (answer.status == 0) == header.exists() == payload.exists(), answer
    return Packet.read(header, payload) if header.exists() else None


def our_packet(
    claim: Claim, secrets: Secrets, folder: Path, *more: str
) -> tuple[Answer, Packet | None]:
    """What ``secret seal`` writes for these secrets; None if it writes nothing."""
    out = folder / "packet"
    orders = [f"--secret={guid}={path}" for guid, path in secret_files(folder, secrets).items()]
    answer = watchword(
        *("secret", "seal", *watchword_words(claim), f"--tek={claim.keys / 'tek.bin'}"),
        *(f"--waive-policy={REASON}", *orders, f"--out={out}", *more),
    )
    assert (answer.verdict is Verdict.ACCEPTED) == out.exists(), answer.payload
    made = Packet.read(out / "header.b64", out / "payload.b64") if out.exists() else None
    return answer, made


def secrets_in(machine: VirtualMachine) -> dict[UUID, bytes]:
    """What the guest reads in its memory, once the packet is in."""
    area = machine.areas.secret
    assert area is not None
    found = {}
    for entry in parse_table(machine.memory.read(area.base, area.size)):
        with entry.data.reveal() as view:
            found[entry.guid] = bytes(view)
    return found


def size_of(packet: Packet) -> int:
    return len(packet.payload) // 4 * 3 - packet.payload.count("=")


SIZES = [*range(1, 41), 100, 1000, 3000]
SETS: list[Secrets] = [
    {DISK_PASSPHRASE: b"pass phrase"},
    {KATA: bytes(range(256))},
    {DISK_PASSPHRASE: b"one", KATA: b"\0\0\0", OWN: b"two" * 100},
]


def test_the_peers_packets_are_accepted_and_its_table_is_read(
    desk: Desk, validator: Validator, tmp_path: Path, compared: Counts
) -> None:
    machine = desk.start(GUEST, POLICY)
    claim = desk.claim(machine, GUEST)
    cases = [{DISK_PASSPHRASE: b"p" * size} for size in SIZES] + SETS
    for number, secrets in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        packet = validators_packet(validator, claim, secrets, folder)
        assert packet is not None
        machine.inject_secret(packet.header, packet.payload, None)
        assert secrets_in(machine) == secrets
    compared.agree("validate-packets", len(cases))


def test_our_packets_are_accepted_and_hold_the_same(desk: Desk, tmp_path: Path) -> None:
    machine = desk.start(GUEST, POLICY)
    claim = desk.claim(machine, GUEST)
    for number, secrets in enumerate(SETS):
        folder = tmp_path / str(number)
        folder.mkdir()
        _, packet = our_packet(claim, secrets, folder, "--route=kernel")
        assert packet is not None
        machine.inject_secret(packet.header, packet.payload, None)
        assert secrets_in(machine) == secrets


def test_both_packets_are_of_one_size_but_for_the_peers_superfluous_block(
    desk: Desk, validator: Validator, tmp_path: Path, compared: Counts
) -> None:
    claim = desk.claim(desk.start(GUEST, POLICY), GUEST)
    superfluous, sizes = 0, SIZES[:24]
    for size in sizes:
        folder = tmp_path / str(size)
        folder.mkdir()
        theirs = validators_packet(validator, claim, {KATA: b"s" * size}, folder)
        _, ours = our_packet(claim, {KATA: b"s" * size}, folder)
        assert theirs is not None
        assert ours is not None
        more = size_of(theirs) - size_of(ours)
        assert more == (16 if size % 16 == WHOLE_BLOCKS else 0)
        superfluous += more > 0
    compared.agree("packet-size", len(sizes) - superfluous)
    compared.differ("superfluous-block", superfluous)


def test_the_superfluous_block_costs_the_peer_the_largest_secret(
    desk: Desk, validator: Validator, tmp_path: Path, compared: Counts
) -> None:
    """16344 bytes make a table of 16384, all that KVM copies; the peer sends 16400."""
    guest = replace(GUEST, firmware="large-area")
    machine = desk.start(guest, POLICY)
    claim = desk.claim(machine, guest)
    secrets = {KATA: b"k" * 16344}
    theirs = validators_packet(validator, claim, secrets, tmp_path)
    assert theirs is not None
    with pytest.raises(HostError, match="ret=-22"):
        machine.inject_secret(theirs.header, theirs.payload, None)
    _, ours = our_packet(claim, secrets, tmp_path)
    assert ours is not None
    machine.inject_secret(ours.header, ours.payload, None)
    assert secrets_in(machine) == secrets
    compared.differ("largest-secret", 1)


def test_the_peer_adds_no_nul_for_grub(
    desk: Desk, validator: Validator, tmp_path: Path, compared: Counts
) -> None:
    machine = desk.start(GUEST, POLICY)
    claim = desk.claim(machine, GUEST)
    secrets = {DISK_PASSPHRASE: b"pass phrase"}
    theirs = validators_packet(validator, claim, secrets, tmp_path)
    _, ours = our_packet(claim, secrets, tmp_path)
    read = []
    for packet in (theirs, ours):
        assert packet is not None
        machine.inject_secret(packet.header, packet.payload, None)
        read.append(secrets_in(machine)[DISK_PASSPHRASE])
    assert read == [b"pass phrase", b"pass phrase\0"]
    compared.differ("trailing-nul", 1)


def test_a_secret_without_bytes_is_packed_by_the_peer_alone(
    desk: Desk, validator: Validator, tmp_path: Path, compared: Counts
) -> None:
    claim = desk.claim(desk.start(GUEST, POLICY), GUEST)
    assert validators_packet(validator, claim, {KATA: b""}, tmp_path) is not None
    answer, packet = our_packet(claim, {KATA: b""}, tmp_path)
    assert packet is None
    assert answer.code == "file-empty"
    compared.differ("empty-secret", 1)


def test_a_packet_for_firmware_without_a_secret_area_is_made_by_the_peer_alone(
    desk: Desk, validator: Validator, tmp_path: Path, compared: Counts
) -> None:
    guest = replace(GUEST, firmware="no-secret-area")
    machine = desk.start(guest, POLICY)
    claim = desk.claim(machine, guest)
    theirs = validators_packet(validator, claim, {KATA: b"secret"}, tmp_path)
    assert theirs is not None
    with pytest.raises(HostError, match="no secret area found"):
        machine.inject_secret(theirs.header, theirs.payload, None)
    answer, ours = our_packet(claim, {KATA: b"secret"}, tmp_path)
    assert ours is None
    assert answer.verdict is Verdict.UNUSABLE
    compared.differ("no-secret-area", 1)


def test_neither_packet_fits_a_clone_from_the_same_blob(
    desk: Desk, validator: Validator, tmp_path: Path, compared: Counts
) -> None:
    """Same keys, same contents, another measurement: fw_error 11."""
    first, clone = desk.start(GUEST, POLICY), desk.start(GUEST, POLICY)
    claim = desk.claim(first, GUEST)
    theirs = validators_packet(validator, claim, {KATA: b"secret"}, tmp_path)
    _, ours = our_packet(claim, {KATA: b"secret"}, tmp_path)
    for packet in (theirs, ours):
        assert packet is not None
        with pytest.raises(HostError, match="fw_error=11 'Bad measurement'"):
            clone.inject_secret(packet.header, packet.payload, None)
        first.inject_secret(packet.header, packet.payload, None)
    compared.agree("clone-refused", 2)


def test_neither_makes_a_packet_for_a_guest_that_differs(
    desk: Desk, validator: Validator, tmp_path: Path
) -> None:
    guest = replace(GUEST, firmware="other-firmware")
    claim = desk.claim(desk.start(guest, POLICY), GUEST)
    assert validators_packet(validator, claim, {KATA: b"secret"}, tmp_path) is None
    answer, ours = our_packet(claim, {KATA: b"secret"}, tmp_path)
    assert ours is None
    assert answer.verdict is Verdict.REFUSED
