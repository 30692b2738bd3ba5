# SPDX-License-Identifier: Apache-2.0
"""For each step of a launch: what was computed from what, and how others' tools check it.

The files that the commands read are written for this alone, and hold no secret. What only TIK
could check is said to be so: TIK is never given out after the launch (spec/threats.md 10).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..base64_text import decode_base64
from ..guest.profile import GuestProfile
from ..sev.chain_files import LARGEST_FILE
from .chain_opinion import ROLES, chain_opinion
from .engine import Launch
from .record import LaunchRecord
from .tik_opinion import EXPECTED, NO_TEK_FILE, TIK_FILE, TOOL, validate_words

_REPORT_SIZE: Final = 208
_KEY_SIZE: Final = 16


@dataclass(frozen=True, slots=True)
class Check:
    """A command of another tool's, run in the folder of the files, and what it has to print.

    ``words`` are its arguments; ``tool`` is what has to be installed for it.
    """

    words: tuple[str, ...]
    expected: str
    tool: str

    @property
    def command(self) -> str:
        """As a shell takes it."""
        return shlex.join(self.words)


@dataclass(frozen=True, slots=True)
class Opinion:
    """One step. ``sentences`` say what was computed from what."""

    step: str
    title: str
    sentences: tuple[str, ...]
    checks: tuple[Check, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def as_json(self) -> dict[str, object]:
        """The step with stable field names."""
        return {
            "step": self.step,
            "title": self.title,
            "sentences": list(self.sentences),
            "checks": [
                {"command": check.command, "expected": check.expected, "tool": check.tool}
                for check in self.checks
            ],
            "files": sorted(self.files),
        }


def second_opinions(
    record: LaunchRecord, profile: GuestProfile, packet: bytes | None = None
) -> tuple[Opinion, ...]:
    """The steps that are recorded, in their order; the profile is the one that was ordered.

    ``packet``  header and ciphertext of the sealed packet, where there is one
    """
    launch = record.launch()
    makers = (_platform, _guest, _session, _measurement)
    found = [opinion for make in makers for opinion in make(launch, record, profile)]
    return (*found, *_secret(launch, record, packet), *_report(launch))


def _fact(launch: Launch, step: str) -> Mapping[str, object] | None:
    fact = launch.facts.get(step)
    return None if fact is None else fact.record


def _platform(launch: Launch, record: LaunchRecord, profile: GuestProfile) -> Iterator[Opinion]:
    del record, profile
    fact = _fact(launch, "platform")
    certificates = None if fact is None else fact.get("certificates")
    if not isinstance(certificates, dict):
        return
    files, checks, sentences = chain_opinion(_known(certificates))
    yield Opinion(
        "platform",
        "The host's certificates",
        sentences,
        tuple(Check(words, expected, tool) for words, expected, tool in checks),
        files,
    )


def _known(told: Mapping[str, object]) -> dict[str, bytes]:
    """The certificates of known roles: nobody vouches for the record, and files get their names."""
    return {
        role: decode_base64(str(told[role]), f"the certificate {role} in the record", LARGEST_FILE)
        for role in ROLES
        if role in told
    }


def _guest(launch: Launch, record: LaunchRecord, profile: GuestProfile) -> Iterator[Opinion]:
    del record
    fact = _fact(launch, "guest")
    digests = None if fact is None else fact.get("launch_digests")
    if not isinstance(digests, list):
        return
    checks = [
        Check(("sha256sum", file.path), f"{file.sha256}  {file.path}", "coreutils")
        for file in (*profile.firmware, *profile.kernel, *profile.initrd)
        if file.path is not None and file.sha256 is not None
    ]
    checks += _measured_by_others(profile, _peers_digest(digests))
    yield Opinion(
        "guest",
        "The launch digest",
        (
            (
                "SHA-256 over the firmware as it is mapped, then the table of the hashes of kernel,"
                " initrd and command line if there is a kernel, then, with SEV-ES, one page of 4096"
                " bytes with the first state of each vCPU."
            ),
            f"Combinations of these that the profile allows: {len(digests)}.",
        ),
        tuple(checks),
    )


def _peers_digest(digests: Sequence[object]) -> str | None:
    """The first combination's, with SEV-ES under QEMU's newer way (init2) to start vCPUs."""
    for digest in digests:
        if isinstance(digest, Mapping) and "legacy" not in str(digest.get("components")):
            return str(digest.get("launch_digest"))
    return None


def _measured_by_others(profile: GuestProfile, expected: str | None) -> Iterator[Check]:
    """The first combination, as sev-snp-measure computes it; it knows the newer VMSA pages."""
    path = profile.firmware[0].path
    if path is None or expected is None:
        return
    words = ["sev-snp-measure", "--mode", "seves" if profile.needs_es else "sev", "--ovmf", path]
    if profile.needs_es:
        words += ["--vcpus", str(next(iter(profile.vcpus)))]
        words += ["--vcpu-type", profile.cpu[0].name]
    if profile.kernel:
        kernel = profile.kernel[0].path
        line = profile.cmdline[0].text if profile.cmdline else ""
        initrd = profile.initrd[0].path if profile.initrd else None
        if kernel is None or line is None:
            return
        words += ["--kernel", kernel, *(["--initrd", initrd] if initrd else []), "--append", line]
    yield Check(tuple(words), expected, "sev-snp-measure (PyPI)")


def _session(launch: Launch, record: LaunchRecord, profile: GuestProfile) -> Iterator[Opinion]:
    del profile
    fact, session = _fact(launch, "session"), record.session
    if fact is None or session is None:
        return
    material = session.material()
    names = {"godh.cert": material.godh.build(), "launch_blob.bin": material.blob.build()}
    hashes = {"godh.cert": fact.get("godh_sha256"), "launch_blob.bin": fact.get("blob_sha256")}
    yield Opinion(
        "session",
        "GODH and launch blob",
        (
            (
                "A one-time key (GODH) and the platform's PDH agree on a secret by ECDH; from that,"
                " two keys are derived that wrap TEK and TIK, and a MAC binds the policy."
            ),
            (
                "Nobody but the platform's secure processor can open the blob: what can be checked"
                " from outside is that the host was given these very files."
            ),
        ),
        tuple(Check(("sha256sum", name), f"{hashes[name]}  {name}", "coreutils") for name in names),
        names,
    )


def _measurement(launch: Launch, record: LaunchRecord, profile: GuestProfile) -> Iterator[Opinion]:
    fact = _fact(launch, "measurement")
    if fact is None:
        return
    words = None
    if record.packet is None:
        digests = (_fact(launch, "guest") or {}).get("launch_digests")
        words = validate_words(fact, digests if isinstance(digests, list) else (), profile)
    yield Opinion(
        "measurement",
        "The launch measurement",
        (
            (
                "HMAC-SHA-256 with TIK over: 0x04, API major, API minor, build, policy (4 bytes,"
                " little-endian), launch digest (32 bytes), nonce (16 bytes)."
            ),
            (
                f"API {fact.get('api_major')}.{fact.get('api_minor')}, build {fact.get('build')},"
                f" launch digest {fact.get('launch_digest')}, nonce {fact.get('nonce')}."
            ),
            f"It has to be {fact.get('measurement')}.",
            _with_tik(record),
        ),
        () if words is None else (Check(words, EXPECTED, TOOL),),
        {} if words is None else {NO_TEK_FILE: bytes(_KEY_SIZE)},
    )


def _with_tik(record: LaunchRecord) -> str:
    if record.packet is not None:
        return (
            "Nobody can check it again: TEK and TIK were erased when the packet was sealed, because"
            " whoever has TIK could have the packet opened in another VM."
        )
    return (
        "While the keys are there, libvirt's own tool can check it: `(umask 077; watchword vault"
        f" show launch/{record.id}/tik --reveal > {TIK_FILE})` gives TIK out, with an entry in the"
        " ledger. Whoever gets that file can take the secret: erase it at once."
    )


def _secret(launch: Launch, record: LaunchRecord, packet: bytes | None) -> Iterator[Opinion]:
    fact = _fact(launch, "secret")
    if record.packet is None or packet is None:
        return
    name = "packet.bin"
    yield Opinion(
        "secret",
        "The sealed packet",
        (
            (
                "AES-128-CTR with TEK over the table of secrets, and HMAC-SHA-256 with TIK over"
                " flags, IV, both lengths, ciphertext and the launch measurement: it opens in the"
                " measured VM and in no other."
            ),
            "" if fact is None else f"Injected: {fact.get('injected')}.",
        ),
        (Check(("sha256sum", name), f"{record.packet.sha256}  {name}", "coreutils"),),
        {name: packet},
    )


def _report(launch: Launch) -> Iterator[Opinion]:
    fact = _fact(launch, "run")
    report = None if fact is None else fact.get("report")
    if not isinstance(report, str):
        return
    yield Opinion(
        "run",
        "The attestation report",
        (
            (
                "208 bytes: nonce, launch digest, policy, and the PEK's signature over the first"
                " 0x34 bytes. It tells that the VM with this digest runs on that platform."
            ),
        ),
        (),
        {"report.bin": decode_base64(report, "the report in the record", _REPORT_SIZE)},
    )
