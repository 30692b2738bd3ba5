# SPDX-License-Identifier: Apache-2.0
"""Documents made from rehearsed launches, and forged by hand, apart from the code under test."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from watchword.core.amd.advisories import published_advisories
from watchword.core.amd.roots import amd_roots
from watchword.core.errors import WatchwordError
from watchword.core.evidence.envelope import sign_statement
from watchword.core.evidence.facts import LaunchEnd
from watchword.core.evidence.statement import statement
from watchword.core.evidence.verify import Trust
from watchword.core.launch.engine import Launch
from watchword.core.launch.evidence_of import LaunchReport, evidence_facts
from watchword.core.launch.sev_plan import SevPlan
from watchword.core.rehearsal.rehearse import RehearsedGuest, rehearse
from watchword.core.secret import Secret
from watchword.core.sev.certificates import AmdCertificate
from watchword.core.simulator import PlatformKeys

SEED = bytes(range(1, 33))
OTHER_SEED = bytes(range(2, 34))
BEGUN = datetime(2026, 11, 23, 14, 0, 0, tzinfo=UTC)
HOST = "qmp+tcp://kvm17.lab.example:4444"
ENTRY = "web1/disk-unlock"
ENTRY_GUID = "736869e5-84f0-4973-92ec-06879ce3da0b"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Rehearsed:
    """A launch as it ended, the plan that it followed, and the simulated machine."""

    guest: RehearsedGuest
    launch: Launch
    plan: SevPlan
    error: WatchwordError | None
    keys: PlatformKeys

    def facts(self, **changes):
        """The facts for its document; ``changes`` are those of LaunchReport."""
        end = LaunchEnd.RUNNING if self.error is None else LaunchEnd.REFUSED
        report = LaunchReport(
            **{
                "end": end,
                "begun": BEGUN,
                "ended": BEGUN + timedelta(minutes=3),
                "error": self.error,
                "guest": "web1",
                "profile_name": "web1",
                "profile_sha256": "5e" * 32,
                "host": HOST,
                "entries": {ENTRY_GUID: ENTRY},
                **changes,
            }
        )
        return evidence_facts(self.launch, self.plan, report, amd_roots())

    def document(self, seed=SEED, **changes):
        """Its signed document."""
        return sign_statement(statement(self.facts(**changes)), Secret(seed))


def play(guest, keys, attack=None):
    """A rehearsed launch, whatever came of it."""
    outcome = asyncio.run(rehearse(guest, lambda launch: None, attack=attack, keys=keys))
    plan = guest.plan(keys.root.ark, b"not the one that was used")
    return Rehearsed(guest, outcome.launch, plan, outcome.error, keys)


def trust(keys=None, **changes):
    """Trusts this owner, AMD's roots, and the simulated machine's where one is given."""
    known = Trust(
        roots=amd_roots(),
        advisories=published_advisories(),
        signers=(fingerprint(SEED),),
        trusted_roots=() if keys is None else (AmdCertificate.parse(keys.root.ark),),
    )
    return replace(known, **changes)


# -- by hand ---------------------------------------------------------------------------


def raw_public_key(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def fingerprint(seed):
    import hashlib

    return hashlib.sha256(raw_public_key(seed)).hexdigest()


def pae(payload, payload_type=PAYLOAD_TYPE):
    """DSSE's pre-authentication encoding, from its specification."""
    kind = payload_type.encode()
    return b" ".join(
        [b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload]
    )


def payload_of(envelope):
    return base64.b64decode(json.loads(envelope)["payload"])


def predicate_of(envelope):
    return json.loads(payload_of(envelope))["predicate"]


def canonical(value):
    """JSON with sorted keys: canonical for documents, whose keys are ASCII and numbers whole."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def key_id(seed):
    """What securesystemslib calls a key by, from its specification."""
    import hashlib

    public = {
        "keytype": "ed25519",
        "keyval": {"public": raw_public_key(seed).hex()},
        "scheme": "ed25519",
    }
    return hashlib.sha256(canonical(public)).hexdigest()


def seal_by_hand(payload, seed=SEED, **changes):
    """An envelope over any bytes, as whoever holds that key could make it."""
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(pae(payload))
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": key_id(seed), "sig": base64.b64encode(signature).decode()}],
    }
    return canonical({**envelope, **changes})


def forged(envelope, change, seed=SEED, *, keep_subject=False):
    """The document with its predicate changed in place, signed anew by ``seed``, by hand."""
    whole = copy.deepcopy(json.loads(payload_of(envelope)))
    change(whole["predicate"])
    whole["predicate"]["signer"]["public_key"] = raw_public_key(seed).hex()
    if not keep_subject:
        contents = whole["predicate"]["contents"]
        if contents is not None:
            digests = [("firmware", contents["firmware"]["sha256"])]
            digests.append((whole["subject"][-1]["name"], contents["launch_digest"]))
            whole["subject"] = [{"name": n, "digest": {"sha256": d}} for n, d in digests]
    return seal_by_hand(canonical(whole), seed)
