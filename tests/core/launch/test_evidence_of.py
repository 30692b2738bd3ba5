# SPDX-License-Identifier: Apache-2.0
"""The facts for documents, from launches as they end: what is known is told, the rest is not."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from watchword.core.amd.roots import amd_roots
from watchword.core.errors import VerificationRefused
from watchword.core.evidence.facts import HandedOver, LaunchEnd, LoadedContents, PlatformKind
from watchword.core.evidence.verify import verify_evidence
from watchword.core.launch.contents_of import loaded_contents
from watchword.core.launch.evidence_of import complete_chain
from watchword.core.rehearsal.rehearse import RehearsedGuest
from watchword.core.sev.certificates import SevCertificate, Signature
from watchword.core.sev.chain import PlatformCertificates
from watchword.core.sev.cpu_models import parse_cpu
from watchword.core.sev.digest import (
    LaunchDigest,
    VcpuSetup,
    launch_digest,
    launch_digest_from_firmware_hash,
)
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.kernel_hashes import KernelHashes
from watchword.core.sev.policy import approve_policy, parse_policy
from watchword.core.sev.session import LaunchBlob, LaunchMaterial
from watchword.core.sev.vmsa import VmsaGeneration
from watchword.core.simulator import PlatformKeys, build_firmware

from ..evidence.made import play, trust

PLAIN = approve_policy(parse_policy("nodbg,noks,nosend,sev,min-api=0.17"))
IMAGE = FirmwareImage.from_bytes(build_firmware())


@pytest.fixture(scope="module")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture(scope="module")
def completed(keys):
    return play(RehearsedGuest(policy=PLAIN), keys)


HASHES = KernelHashes.from_streams([b"kernel"], [b"initrd"], "quiet splash")
SETUPS = [
    None,
    VcpuSetup(1, parse_cpu("EPYC-Milan")),
    VcpuSetup(2, parse_cpu("25/17/0"), VmsaGeneration.INIT2),
    VcpuSetup(64, parse_cpu("EPYC"), sev_features=0x20),
]


@pytest.mark.parametrize("hashes", [None, HASHES], ids=["firmware", "kernel"])
@pytest.mark.parametrize("vcpus", SETUPS, ids=["sev", "one", "two", "many"])
def test_contents_are_read_back_from_a_digests_components(hashes, vcpus):
    digest = launch_digest(IMAGE, kernel_hashes=hashes, vcpus=vcpus)
    contents = loaded_contents(digest, ["other", "quiet splash"])
    assert contents == LoadedContents(
        launch_digest=digest.value,
        firmware_sha256=IMAGE.sha256,
        firmware_size=IMAGE.size,
        kernel_hashes=hashes,
        cmdline=None if hashes is None else "quiet splash",
        vcpus=vcpus,
        components=digest.components,
    )


def test_contents_that_do_not_fit_their_hashes_are_not_told():
    digest = launch_digest(IMAGE, kernel_hashes=HASHES, vcpus=SETUPS[2])
    for place in (1, 2):
        parts = list(digest.components)
        parts[place] = replace(parts[place], sha256=bytes(32))
        contents = loaded_contents(LaunchDigest(digest.value, tuple(parts)))
        assert contents == LoadedContents(launch_digest=digest.value)
    assert loaded_contents(LaunchDigest(digest.value, ())) == LoadedContents(
        launch_digest=digest.value
    )


def test_a_firmware_that_is_known_by_its_hash_is_told_without_a_size():
    contents = loaded_contents(launch_digest_from_firmware_hash(IMAGE.sha256))
    assert contents.firmware_sha256 == IMAGE.sha256
    assert contents.firmware_size is None


def test_an_unknown_command_line_is_told_by_its_hash_alone_and_none_as_empty():
    known = launch_digest(IMAGE, kernel_hashes=HASHES)
    assert loaded_contents(known, ["another"]).cmdline is None
    without = KernelHashes.from_streams([b"kernel"], None, None)
    assert loaded_contents(launch_digest(IMAGE, kernel_hashes=without)).cmdline == ""


def test_the_chain_is_completed_with_the_certificates_that_were_taken_for_it(completed, keys):
    root = completed.plan.trusted_roots
    bare = PlatformCertificates(
        pdh=keys.pdh, pek=keys.pek, oca=keys.oca, cek=keys.cek, ask=keys.root.ask
    )
    assert complete_chain(bare, amd_roots(), root).ark == keys.root.ark
    assert complete_chain(bare, amd_roots(), ()) == bare


def test_of_several_approved_digests_the_one_that_matched_is_told(completed, keys):
    other = launch_digest_from_firmware_hash(bytes(32))
    several = replace(
        completed, plan=replace(completed.plan, digests=(other, *completed.plan.digests))
    )
    facts = several.facts()
    assert facts.contents is not None
    assert facts.contents.launch_digest == completed.plan.digests[0].value
    assert len(facts.approved) == 2
    assert verify_evidence(several.document(), trust(keys))


def test_after_a_crash_the_report_tells_which_digest_it_was(completed, keys):
    """The record of a launch that was taken up again lacks it: the keys are gone."""
    measurement = completed.launch.facts["measurement"]
    record = {k: v for k, v in measurement.record.items() if k != "launch_digest"}
    facts = {**completed.launch.facts, "measurement": replace(measurement, record=record)}
    other = launch_digest_from_firmware_hash(bytes(32))
    resumed = replace(
        completed,
        launch=replace(completed.launch, facts=facts),
        plan=replace(completed.plan, digests=(other, *completed.plan.digests)),
    )
    assert resumed.facts().contents is None
    verdict = verify_evidence(resumed.document(), trust(keys))
    assert [f for f in verdict.findings if f.basis.value == "PEK-signed"]
    told = resumed.facts(launch_digest=completed.plan.digests[0].value)
    assert told.contents is not None


def test_a_refused_chain_is_told_with_its_certificates(keys):
    refused = play(RehearsedGuest(policy=PLAIN), keys, "forged-chain")
    assert refused.error.code == "chain-refused"
    assert refused.facts().platform.kind is PlatformKind.REFUSED
    assert refused.facts().platform.certificates is None
    assert verify_evidence(refused.document(), trust(keys))
    judged = PlatformCertificates(pdh=keys.pdh, pek=keys.pek, oca=keys.oca, cek=keys.cek)
    verdict = verify_evidence(refused.document(certificates=judged), trust(keys))
    assert verdict.predicate.platform.kind is PlatformKind.REFUSED


def test_a_platform_that_was_not_admitted_is_refused_although_its_chain_holds(completed, keys):
    launch = replace(completed.launch, facts={"guest": completed.launch.facts["guest"]})
    error = VerificationRefused("cek-not-allowed", "Title", "Message.", "Remedy.")
    judged = completed.facts().platform.certificates
    refused = replace(completed, launch=launch, error=error)
    facts = refused.facts(certificates=judged)
    assert facts.platform.kind is PlatformKind.REFUSED
    assert facts.platform.report.ok
    assert verify_evidence(refused.document(certificates=judged), trust(keys))


def test_a_refused_measurement_is_told_with_what_was_reported(keys):
    refused = play(RehearsedGuest(policy=PLAIN), keys, "wrong-firmware")
    facts = refused.facts()
    assert facts.end is LaunchEnd.REFUSED
    assert not facts.matched
    assert facts.reported.measurement.hex() == refused.error.details["reported"]
    assert str(facts.version) == refused.error.details["firmware"]
    assert facts.packet is None
    # What the owner expected is not told: those are MACs under TIK.
    for expected in refused.error.details["expected"]:
        assert expected.encode() not in refused.document()


def test_the_launch_blob_is_told_by_its_hashes_after_a_crash_too(completed):
    record = completed.launch.facts["session"].record
    told = completed.facts().session
    assert (told.godh_sha256, told.blob_sha256) == (record["godh_sha256"], record["blob_sha256"])
    resumed = replace(completed.launch.facts["session"], record={"keys": "erased"})
    facts = {**completed.launch.facts, "session": resumed}
    later = replace(completed, launch=replace(completed.launch, facts=facts))
    assert later.facts().session is None
    godh = SevCertificate(0, 0, 0x1003, 3, bytes(1028), (Signature.empty(),) * 2)
    blob = LaunchBlob(b"n" * 16, bytes(32), bytes(16), bytes(32), bytes(32))
    session = later.facts(material=LaunchMaterial(godh, blob)).session
    assert session.nonce == b"n" * 16
    assert session.blob_sha256 == hashlib.sha256(blob.build()).hexdigest()
    assert session.godh_sha256 == hashlib.sha256(godh.build()).hexdigest()


def test_a_packet_that_was_sealed_and_not_sent_is_told_as_such(completed, keys):
    facts = {k: v for k, v in completed.launch.facts.items() if k not in ("secret", "run")}
    stopped = replace(completed, launch=replace(completed.launch, facts=facts))
    told = {
        "end": LaunchEnd.ABANDONED,
        "packet_sha256": "ab" * 32,
        "handed_over": HandedOver.NO,
        "secrets": completed.launch.facts["secret"].record["secrets"],
    }
    verdict = verify_evidence(stopped.document(**told), trust(keys))
    assert verdict.predicate.packet.sha256 == "ab" * 32
    assert verdict.predicate.packet.handed_over is HandedOver.NO
    assert verdict.predicate.secrets[0].name == "disk-passphrase"
    assert "No secret was handed over" in verdict.summary()[-1]
