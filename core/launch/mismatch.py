# SPDX-License-Identifier: Apache-2.0
"""Adds to a refused measurement what explains it; the refusal stands in any case."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import VerificationRefused
from ..sev.diagnosis import Diagnosis, Question, diagnose

MISMATCH = "measurement-mismatch"
"""The code of the refusal that there is something to explain about."""


def explain_mismatch(refusal: VerificationRefused, questions: Sequence[Question]) -> None:
    """Put a diagnosis under ``diagnosis`` in the refusal's details.

    There is one question for each approved alternative: the first that is explained
    is told, else what was tried with the first. Keys must not be wiped yet.
    """
    diagnoses: list[Diagnosis] = []
    for question in questions:
        diagnoses.append(diagnose(question))
        if diagnoses[-1].explained:
            break
    if diagnoses:
        told = diagnoses[-1] if diagnoses[-1].explained else diagnoses[0]
        refusal.add_details(diagnosis=told.as_json())
