# SPDX-License-Identifier: Apache-2.0
"""A launch's evidence, as it is kept: the signed document, or a page about it. Knows no Qt."""

from __future__ import annotations

from enum import StrEnum

from watchword.core.evidence.html_page import evidence_page
from watchword.core.evidence.store import EvidenceStore
from watchword.core.evidence.verify import Trust, verify_evidence
from watchword.core.launch.store import LaunchStore
from watchword.core.launch.surroundings import Surroundings
from watchword.core.records.database import Records, records_folder
from watchword.core.sev.certificates import AmdCertificate


class EvidenceForm(StrEnum):
    """In which form a document is kept."""

    JSON = "json"
    HTML = "html"
    PDF = "pdf"

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return f".{self.value}"


def evidence_bytes(launch_id: str, form: EvidenceForm, surroundings: Surroundings) -> bytes:
    """The newest document of a launch: signed JSON, or its page in HTML (also for PDF).

    Blocks. Raises UsageError ``evidence-missing``, and as ``verify_evidence`` for a page.
    """
    with Records.open(records_folder()) as records:
        store = EvidenceStore(records)
        envelope = store.envelope(store.find(launch_id))
        order = LaunchStore(records).load(launch_id).record.order
    if form is EvidenceForm.JSON:
        return envelope
    roots = tuple(AmdCertificate.parse(data, "the trusted root") for data in order.trusted_roots)
    # Whose key it is, a page can't say: whoever reads it has to compare the fingerprint.
    trust = Trust(
        roots=surroundings.roots,
        advisories=surroundings.advisories,
        accept_unknown_signer=True,
        trusted_roots=roots,
    )
    return evidence_page(verify_evidence(envelope, trust)).encode()
