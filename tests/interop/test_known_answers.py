# SPDX-License-Identifier: Apache-2.0
"""Answers that sev-tool and sevctl gave once, against the command line and the simulator.

Neither program is run here: Debian 12 has no package of them. What they answered to fixed
random bytes is in ../shared/vectors, which also says how it was made.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from watchword.core.secret import Secret
from watchword.core.sev.certificates import SevCertificate
from watchword.core.sev.chain_rules import pdh_public_key
from watchword.core.sev.secret_table import parse_table
from watchword.core.sev.session import SessionRandomness, wrap_keys
from watchword.core.simulator import FirmwareVersion
from watchword.core.simulator.firmware_status import FirmwareRefusal
from watchword.core.simulator.key_derivation import aes_ctr, unwrap_session
from watchword.core.simulator.launch_macs import PACKET_HEADER, packet_mac

from .command_line import Answer, watchword
from .table import Counts

MAC_SIZE = 32
RESERVED_POLICY_BITS = 0xFFC0


def answers(vectors: Path, tool: str) -> dict:
    return json.loads((vectors / f"{tool}.json").read_text())


def compute(row: dict, tik: Path, nonce: str) -> Answer:
    """``measurement compute`` for a row."""
    return watchword(
        *("measurement", "compute", f"--tik={tik}", f"--nonce={nonce}"),
        f"--api={row['api_major']}.{row['api_minor']}",
        f"--build={row['build_id']}",
        f"--policy={row['policy']}",
        f"--launch-digest={row['launch_digest']}",
    )


def test_measurements_of_sev_tool(vectors: Path, tmp_path: Path, compared: Counts) -> None:
    rows = answers(vectors, "sev-tool")["measurements"]
    same, reserved = 0, 0
    for row in rows:
        tik = tmp_path / "tik"
        tik.write_bytes(bytes.fromhex(row["tik"]))
        if row["policy"] & RESERVED_POLICY_BITS:
            assert compute(row, tik, row["nonce"]).code == "bad-policy"
            reserved += 1
            continue
        right = base64.b64encode(bytes.fromhex(row["expected"] + row["nonce"])).decode()
        assert compute(row, tik, row["nonce"]).good()["blob"] == right
        same += 1
    compared.agree("known-measurements-sev-tool", same)
    compared.differ("reserved-policy-sev-tool", reserved)


def test_measurements_of_sevctl(vectors: Path, compared: Counts) -> None:
    document = answers(vectors, "sevctl")
    nonce = (vectors / document["nonce"]).read_bytes().hex()
    tik = vectors / document["tik"]
    for row in document["measurements"]:
        assert compute(row, tik, nonce).good()["blob"] == row["expected_b64"]
    compared.agree("known-measurements-sevctl", len(document["measurements"]))


def opened(row: dict, vectors: Path, version: FirmwareVersion, measurement: bytes) -> bytes:
    """A packet's content, once the simulated secure processor finds its MAC right."""
    tek, tik = (
        Secret((vectors / "inputs" / f"{name}.bin").read_bytes()) for name in ("tek", "tik")
    )
    header, payload = bytes.fromhex(row["header_hex"]), bytes.fromhex(row["payload_hex"])
    flags, counter, sent = PACKET_HEADER.unpack(header)
    assert flags == 0
    assert packet_mac(tik, version, header, payload, measurement) == sent
    return aes_ctr(tek, counter, payload)


def test_packets_of_sevctl_open_and_their_tables_are_read(vectors: Path, compared: Counts) -> None:
    document = answers(vectors, "sevctl")
    measurement = base64.b64decode(document["launch_measure_blob_for_secrets"])[:32]
    rows = [row for row in document["secrets"] if row.get("payload_hex")]
    for row in rows:
        entries = parse_table(opened(row, vectors, FirmwareVersion(), measurement))
        found = {}
        for entry in entries:
            with entry.data.reveal() as view:
                found[str(entry.guid)] = bytes(view)
        files = {item["guid"]: (vectors / item["file"]).read_bytes() for item in row["secrets"]}
        assert found == files
    compared.agree("known-packets-sevctl", len(rows))


def test_packets_of_sev_tool_open_as_they_are(vectors: Path, compared: Counts) -> None:
    """It encrypts the bare file without a table, and pads nothing."""
    rows = [row for row in answers(vectors, "sev-tool")["secrets"] if row.get("payload_hex")]
    for row in rows:
        version = FirmwareVersion(*row["pek_api"], 0)
        measurement = bytes.fromhex(row["measurement"])
        content = opened(row, vectors, version, measurement)
        assert content == (vectors / row["secret"]).read_bytes()
    compared.differ("bare-packets-sev-tool", len(rows))


def our_blob(row: dict, godh: ec.EllipticCurvePrivateKey, pdh: ec.EllipticCurvePublicKey) -> bytes:
    """Our launch blob from the tool's random bytes."""
    nonce, tek, tik, iv = (bytes.fromhex(row[name]) for name in ("nonce", "tek", "tik", "wrap_iv"))
    randomness = SessionRandomness(godh, nonce, Secret(tek), Secret(tik), iv)
    return wrap_keys(pdh, randomness, int(row["policy"])).build()


@pytest.mark.parametrize("tool", ["sev-tool", "sevctl"])
def test_launch_blobs_for_a_real_pdh(vectors: Path, compared: Counts, tool: str) -> None:
    """Where a tool cut the policy, its blob differs from ours in the policy's MAC alone."""
    scalar = int((vectors / "inputs" / "godh_priv.hex").read_text(), 16)
    godh = ec.derive_private_key(scalar, ec.SECP384R1())
    pdh = SevCertificate.parse((vectors / "chains" / "naples" / "pdh.cert").read_bytes())
    # Of this PDH nobody has the private key; the other two halves give the same secret.
    pdh_key = pdh_public_key(pdh)
    same, cut = 0, 0
    for row in answers(vectors, tool)["sessions"]:
        ours, theirs = our_blob(row, godh, pdh_key), bytes.fromhex(row["session_hex"])
        if row["policy"] == row["policy_used_in_mac"]:
            assert ours == theirs
            same += 1
        else:
            assert ours[:-MAC_SIZE] == theirs[:-MAC_SIZE]
            unwrap_session(godh, pdh_key, ours, row["policy"])
            with pytest.raises(FirmwareRefusal, match="Bad measurement"):
                unwrap_session(godh, pdh_key, theirs, row["policy"])
            cut += 1
    compared.agree(f"blobs-{tool}", same)
    compared.differ(f"cut-policies-{tool}", cut)
