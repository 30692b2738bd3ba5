# SPDX-License-Identifier: Apache-2.0
"""QEMU's part: what is measured in which order, and what stops a start."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from watchword.core.errors import UsageError
from watchword.core.simulator import (
    FirmwareRecipe,
    FirmwareStatus,
    FirmwareVersion,
    MemoryArea,
    PlatformKeys,
    SaveAreaKind,
    SecureProcessor,
    StartFailure,
    StartOrder,
    VirtualMachine,
    build_firmware,
    cpu_signature,
)
from watchword.core.simulator.kernel_table import kernel_table
from watchword.core.simulator.other_owner import OwnerSession, make_session, seal
from watchword.core.simulator.secure_processor import GuestState
from watchword.core.simulator.virtual_machine import QmpError

SECRET = b"the disk's own passphrase\0padded".ljust(48, b"\0")


@pytest.fixture
def processor(keys: PlatformKeys) -> SecureProcessor:
    return SecureProcessor(keys)


@pytest.fixture
def machine(order: StartOrder, processor: SecureProcessor) -> VirtualMachine:
    return VirtualMachine(order, processor)


def launch_digest(order: StartOrder, processor: SecureProcessor) -> bytes:
    machine = VirtualMachine(order, processor)
    machine.resume()
    return base64.b64decode(machine.attestation_report(base64.b64encode(bytes(16)).decode()))[16:48]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def vector_file(vectors: Path, name: str) -> bytes | None:
    """The firmware that a vector names, where it is here."""
    path = vectors / name.replace("bookworm:", "firmware/")
    return path.read_bytes() if path.is_file() else None


class TestAgainstOtherTools:
    def test_digests_agree_with_sev_snp_measure(
        self, vectors: Path, keys: PlatformKeys, processor: SecureProcessor, make_order
    ):
        owners = {p: make_session(keys.pdh_key.public_key(), p) for p in (1, 5)}
        cases = json.loads((vectors / "sev-snp-measure.json").read_bytes())["vectors"]
        agreed = refused = 0
        for case in cases:
            image = vector_file(vectors, case["firmware"])
            policy = 5 if case["mode"] == "seves" else 1
            order = make_order(
                owners[policy],
                image,
                policy=policy,
                vcpus=max(1, case["vcpus"]),
                cpu_signature=int(case["vcpu_sig"], 16),
                save_area_kind=SaveAreaKind.INIT2,
                **kernel_of(vectors, case),
            )
            if case["expected"] is None:
                with pytest.raises(StartFailure, match="hashes table"):
                    VirtualMachine(order, processor)
                refused += 1
            else:
                assert launch_digest(order, processor).hex() == case["expected"], case
                agreed += 1
        assert (agreed, refused) == (99, 24)

    def test_measurements_agree_with_sevctl(self, vectors: Path, keys: PlatformKeys, make_order):
        content = json.loads((vectors / "sevctl.json").read_bytes())
        tek_tik = b"".join((vectors / content[name]).read_bytes() for name in ("tek", "tik"))
        nonce = (vectors / content["nonce"]).read_bytes()
        agreed = 0
        for case in content["measurements"]:
            image = vector_file(vectors, case["firmware"])
            if image is None or (case["kernel"] and not has_hash_area(image)):
                continue  # sevctl adds a table where QEMU would refuse to start
            version = FirmwareVersion(case["api_major"], case["api_minor"], case["build_id"])
            processor = SecureProcessor(keys, version, random=lambda size: nonce[:size])
            owner = make_session(keys.pdh_key.public_key(), case["policy"], tek_tik)
            details = {"vcpus": case["num_cpus"] or 1, "policy": case["policy"]}
            if case["cpu"]:
                details["cpu_signature"] = signature(**case["cpu"])
            order = make_order(owner, image, **details, **kernel_of(vectors, case))
            if (case["policy"] >> 16 & 0xFF, case["policy"] >> 24) > version.api:
                with pytest.raises(StartFailure, match="Policy is not allowed"):
                    VirtualMachine(order, processor)
                continue
            assert VirtualMachine(order, processor).measurement == case["expected_b64"], case
            agreed += 1
        assert agreed == 20


def has_hash_area(image: bytes) -> bool:
    from watchword.core.simulator.firmware_footer import read_footer

    area = read_footer(image).hashes
    return area is not None and bool(area.base)


def signature(family: int, model: int, stepping: int) -> int:
    low = 0xF00 | (model & 0xF) << 4 | stepping
    return (family - 0xF) << 20 | (model >> 4) << 16 | low


def kernel_of(vectors: Path, case: dict) -> dict[str, object]:
    if not case["kernel"]:
        return {}
    initrd = case["initrd"]
    return {
        "kernel": (vectors / "inputs" / case["kernel"]).read_bytes(),
        "initrd": (vectors / "inputs" / initrd).read_bytes() if initrd else None,
        "command_line": case["cmdline"],
    }


class TestStart:
    def test_a_started_machine_waits_for_the_secret(self, machine: VirtualMachine):
        assert machine.state is GuestState.LAUNCH_SECRET
        assert machine.run_state == "prelaunch"
        assert len(base64.b64decode(machine.measurement)) == 48

    def test_without_minus_s_it_runs_at_once(self, session, firmware, processor, make_order):
        machine = VirtualMachine(make_order(session, firmware, paused=False), processor)
        assert (machine.state, machine.run_state) == (GuestState.RUNNING, "running")

    def test_base64_with_line_breaks_is_taken(self, session, firmware, processor, make_order):
        lines = base64.encodebytes(session.godh)
        VirtualMachine(make_order(session, firmware, dh_cert=b"\n " + lines), processor)

    @pytest.mark.parametrize(
        ("name", "content", "status"),
        [
            ("session", "raw", 4),
            ("dh_cert", "raw", 4),
            ("session", "cut", 4),
            ("dh_cert", "cut", 4),
            ("session", "none", 4),
            ("dh_cert", "none", 4),
            ("dh_cert", "zeros", 10),
            ("session", "zeros", 11),
        ],
    )
    def test_a_bad_file_ends_qemu_with_its_words(
        self, session: OwnerSession, firmware, processor, make_order, name, content, status
    ):
        raw = {"session": session.session, "dh_cert": session.godh}[name]
        encoded = base64.b64encode(raw)
        value = {
            "raw": raw,
            "cut": encoded[:-8],
            "none": None,
            "zeros": base64.b64encode(bytes(len(raw))),
        }[content]
        with pytest.raises(StartFailure) as failed:
            VirtualMachine(make_order(session, firmware, **{name: value}), processor)
        text = FirmwareStatus(status).text
        assert failed.value.lines[0] == (
            f"qemu-system-x86_64: sev_launch_start: LAUNCH_START ret=1 fw_error={status} '{text}'"
        )
        assert failed.value.fw_error == status
        assert processor.guest_count == 0

    def test_another_policy_than_the_sessions_ends_qemu(
        self, session, firmware, processor, make_order
    ):
        with pytest.raises(StartFailure, match="fw_error=11 'Bad measurement'"):
            VirtualMachine(make_order(session, firmware, policy=1), processor)

    @pytest.mark.parametrize(
        ("recipe", "words"),
        [
            (FirmwareRecipe(hash_area=None), "has no hashes table GUID"),
            (FirmwareRecipe(footer=False), "has no hashes table GUID"),
            (FirmwareRecipe(hash_area=MemoryArea(0, 0)), "is invalid (base=0x0 size=0x0)"),
            (FirmwareRecipe(hash_area=MemoryArea(0, 0x400)), "(base=0x0 size=0x400)"),
            (FirmwareRecipe(hash_area=MemoryArea(0x1000, 175)), "(base=0x1000 size=0xaf)"),
            (FirmwareRecipe(hash_area=MemoryArea(0xF0000000, 0x400)), "cannot map"),
        ],
    )
    def test_a_kernel_needs_a_hash_area(self, session, processor, make_order, recipe, words):
        order = make_order(session, build_firmware(recipe), kernel=b"k")
        with pytest.raises(StartFailure) as failed:
            VirtualMachine(order, processor)
        assert words in failed.value.message
        assert processor.guest_count == 0

    def test_without_kernel_hashes_the_kernel_is_not_measured(
        self, session, firmware, processor, make_order
    ):
        bare = launch_digest(make_order(session, firmware), processor)
        unmeasured = make_order(session, firmware, kernel=b"k", kernel_hashes=False)
        assert launch_digest(unmeasured, processor) == bare
        measured = make_order(session, firmware, kernel=b"k")
        assert launch_digest(measured, processor) != bare

    def test_the_guest_finds_the_hash_table_in_its_memory(
        self, session, firmware, processor, make_order
    ):
        order = make_order(session, firmware, kernel=b"k", initrd=b"i", command_line="ü")
        machine = VirtualMachine(order, processor)
        assert machine.memory.read(0x810C00, 176) == kernel_table(b"k", b"i", "ü")

    @pytest.mark.parametrize(
        ("recipe", "words"),
        [
            (FirmwareRecipe(reset_address=None), "block not found in pflash rom"),
            (FirmwareRecipe(reset_address=0), "SEV-ES reset address is zero"),
        ],
    )
    def test_sev_es_needs_a_reset_address(self, keys, processor, make_order, recipe, words):
        owner = make_session(keys.pdh_key.public_key(), 5)
        order = make_order(owner, build_firmware(recipe), policy=5)
        with pytest.raises(StartFailure, match=words):
            VirtualMachine(order, processor)
        assert processor.guest_count == 0

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"initrd": b"i"}, "-initrd only allowed with -kernel"),
            ({"command_line": "quiet"}, "-append only allowed with -kernel"),
        ],
    )
    def test_qemu_refuses_half_a_direct_boot(
        self, session, firmware, processor, make_order, changes, words
    ):
        with pytest.raises(StartFailure, match=words):
            VirtualMachine(make_order(session, firmware, **changes), processor)

    @pytest.mark.parametrize("size", [0, 4095, 4097])
    def test_flash_comes_in_blocks(self, session, processor, make_order, size):
        with pytest.raises(StartFailure, match=f"invalid size {size}"):
            VirtualMachine(make_order(session, bytes(size)), processor)

    @pytest.mark.parametrize("vcpus", [0, 4097])
    def test_absurd_machines_are_not_simulated(
        self, session, firmware, processor, make_order, vcpus
    ):
        with pytest.raises(UsageError):
            VirtualMachine(make_order(session, firmware, vcpus=vcpus), processor)


class TestInjection:
    def packet(self, machine: VirtualMachine, owner: OwnerSession, secret: bytes = SECRET):
        measurement = base64.b64decode(machine.measurement)[:32]
        return tuple(b64(part) for part in seal(owner.keys, measurement, secret))

    def test_without_an_address_the_firmware_says_where(
        self, machine: VirtualMachine, session: OwnerSession
    ):
        machine.inject_secret(*self.packet(machine, session), None)
        assert machine.memory.read(0x810000, len(SECRET)) == SECRET

    def test_an_address_of_the_callers_is_taken(self, machine, session):
        machine.inject_secret(*self.packet(machine, session), 0x4560)
        assert machine.memory.read(0x4560, len(SECRET)) == SECRET

    def test_an_empty_area_means_address_zero_as_with_qemu(self, session, processor, make_order):
        image = build_firmware(FirmwareRecipe(secret_area=MemoryArea(0, 0)))
        machine = VirtualMachine(make_order(session, image), processor)
        machine.inject_secret(*self.packet(machine, session), None)
        assert machine.memory.read(0, len(SECRET)) == SECRET

    def test_without_an_area_an_address_is_demanded(self, session, processor, make_order):
        image = build_firmware(FirmwareRecipe(secret_area=None))
        machine = VirtualMachine(make_order(session, image), processor)
        packet = self.packet(machine, session)
        with pytest.raises(QmpError, match="no secret area found in OVMF, gpa must be specified"):
            machine.inject_secret(*packet, None)
        machine.inject_secret(*packet, 0x1000)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"address": 0x810008}, "ret=-5 fw_error=9 'Invalid address'"),
            ({"address": 1 << 40}, "No memory is mapped at address 0x10000000000"),
            ({"address": (1 << 29) - 16}, "Size of memory region at 0x1ffffff0 exceeded."),
            ({"header": ""}, "SEV: Failed to decode sequence header"),
            ({"header": "!!!"}, "SEV: Failed to decode sequence header"),
            ({"secret": ""}, "SEV: Failed to decode data"),
            ({"header": b64(bytes(20))}, "ret=-5 fw_error=4 'Buffer too small'"),
            ({"header": b64(bytes(52))}, "ret=-5 fw_error=11 'Bad measurement'"),
            ({"secret": b64(bytes(16400))}, "ret=-22 fw_error=0 ''"),
        ],
    )
    def test_a_refusal_has_qemus_words(self, machine, session, change, words):
        header, secret = self.packet(machine, session)
        arguments = {"header": header, "secret": secret, "address": None, **change}
        with pytest.raises(QmpError) as refused:
            machine.inject_secret(**arguments)
        assert words in refused.value.text
        assert not machine.memory.holds(SECRET[:16])

    def test_the_largest_packet_is_taken(self, machine, session):
        secret = b"0123456789abcdef" * 1024
        machine.inject_secret(*self.packet(machine, session, secret), 0x10000)
        assert machine.memory.read(0x10000, len(secret)) == secret

    def test_a_running_machine_takes_no_secret(self, machine, session):
        packet = self.packet(machine, session)
        machine.resume()
        with pytest.raises(QmpError) as refused:
            machine.inject_secret(*packet, None)
        assert refused.value.text == "SEV: Not in correct state. (LSECRET) 3"
        assert machine.measurement


class TestStates:
    def test_going_on_and_stopping(self, machine: VirtualMachine):
        assert not machine.pause()
        assert machine.run_state == "prelaunch"
        assert machine.resume()
        assert not machine.resume()
        assert machine.pause()
        assert machine.run_state == "paused"
        assert machine.resume()

    def test_the_end_wipes_what_was_there(self, machine, session, processor):
        machine.inject_secret(*TestInjection().packet(machine, session), None)
        machine.shut_down()
        machine.shut_down()
        assert not machine.memory.holds(SECRET[:16])
        assert processor.guest_count == 0

    def test_a_report_is_for_running_guests(self, machine: VirtualMachine):
        with pytest.raises(QmpError, match=r"ret=-5 fw_err=2 \(Guest state is invalid\)"):
            machine.attestation_report(b64(bytes(16)))
        with pytest.raises(QmpError, match=r"mnonce must be 16 bytes \(got 15\)"):
            machine.attestation_report(b64(bytes(15)))

    def test_without_sev_there_is_nothing_to_ask(self, firmware, processor):
        machine = VirtualMachine(StartOrder(firmware), processor)
        calls: tuple[tuple[Callable[[], object], str], ...] = (
            (lambda: machine.measurement, "SEV launch measurement is not available"),
            (lambda: machine.inject_secret("", "", None), "SEV not enabled for guest"),
            (lambda: machine.attestation_report(""), "SEV is not enabled"),
        )
        for call, words in calls:
            with pytest.raises(QmpError) as refused:
                call()
            assert refused.value.text == words
        assert machine.resume()
        assert machine.state is GuestState.UNINIT


def test_models_have_their_signatures():
    assert cpu_signature("EPYC-Milan-v2") == cpu_signature("EPYC-Milan") == 0xA00F11
    assert cpu_signature("EPYC-v4") == cpu_signature("EPYC-IBPB") == 0x800F12
    assert cpu_signature("Skylake-v1") is None
    assert cpu_signature("") is None
