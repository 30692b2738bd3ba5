# SPDX-License-Identifier: Apache-2.0
"""Holds the statements of a document against each other, and against what is known today."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import UsageError
from ..sev.advisories import Advisories
from ..sev.firmware_version import FirmwareVersion
from ..sev.policy import OLDEST_SAFE_API, Policy
from .document import MOST_DIGESTS, Predicate, Statement
from .facts import HandedOver, LaunchEnd
from .refusals import contradiction
from .statement import subjects

_WENT_ON = (LaunchEnd.RUNNING, LaunchEnd.NOT_CONFIRMED)


def check_consistency(statement: Statement) -> Policy:
    """The policy, if everything that hangs together does; else ``evidence-contradiction``.

    The certificates, the launch digest and the report are checked elsewhere.
    """
    predicate = statement.predicate
    whole = statement.to_json()
    if whole["subject"] != subjects(whole["predicate"]):
        raise contradiction("It is not about the firmware and launch digest that it describes.")
    policy = _check_policy(predicate)
    _check_outcome(predicate)
    _check_version(predicate, policy)
    _check_digests(predicate)
    if predicate.launch.begun > predicate.launch.ended:
        raise contradiction("The launch ended before it began.")
    return policy


def _check_policy(predicate: Predicate) -> Policy:
    try:
        policy = Policy(predicate.policy.value)
    except UsageError as error:
        raise contradiction(f"No guest can run under its policy. {error.message}") from None
    if policy.names() != predicate.policy.names:
        raise contradiction("The names of its policy are not those of the number.")
    if policy.needs_es != (predicate.technology == "sev-es"):
        raise contradiction("Its technology is not the one of its policy.")
    contents = predicate.contents
    known = contents is not None and contents.firmware is not None
    if known and contents is not None and policy.needs_es != (contents.vcpus is not None):
        raise contradiction("Under SEV-ES, and only there, the vCPUs are measured.")
    refused = any(finding.refused for finding in policy.findings())
    if predicate.outcome in _WENT_ON and refused and "policy" not in predicate.waivers:
        raise contradiction("Its policy is one that is refused unless it is waived, and it wasn't.")
    return policy


def _check_outcome(predicate: Predicate) -> None:
    packet, error, measured = predicate.packet, predicate.error, predicate.matched
    went_on = predicate.outcome in _WENT_ON
    if went_on and not (measured and predicate.processor is not None):
        raise contradiction("It says that the guest was let run, and not what was measured.")
    if packet is not None and not measured:
        raise contradiction("It has a sealed packet without a measurement that matched.")
    sent = packet is not None and packet.handed_over is not HandedOver.NO
    if went_on and not sent and (predicate.secrets or predicate.outcome is LaunchEnd.NOT_CONFIRMED):
        raise contradiction("It says that the guest has its secrets, and not that they were sent.")
    if packet is not None and not predicate.secrets:
        raise contradiction("It has a sealed packet with nothing in it.")
    if (predicate.outcome is LaunchEnd.REFUSED) and error is None:
        raise contradiction("It says that the launch was refused, and not what for.")
    if predicate.outcome is LaunchEnd.RUNNING and error is not None:
        raise contradiction("It says that the launch was completed, and that it failed.")


def _check_version(predicate: Predicate, policy: Policy) -> None:
    """A measurement that matched is of firmware that was good enough then."""
    if predicate.processor is None or not predicate.matched:
        return
    version = predicate.processor.load()
    asked = (0, 0, 0)
    if predicate.minimum is not None:
        minimum = predicate.minimum.load()
        asked = (*minimum.api, minimum.build)
    least = max(asked, (*policy.minimum_api, 0), (*OLDEST_SAFE_API, 0))
    if (*version.api, version.build) < least:
        raise contradiction(
            f"A measurement by firmware {version} was accepted, and the owner or the policy asks"
            " for a newer one."
        )


def _check_digests(predicate: Predicate) -> None:
    approved, contents = predicate.approved, predicate.contents
    listed, count = approved.launch_digests, approved.count
    if len(listed) != min(count, MOST_DIGESTS) or not listed:
        raise contradiction("The number of its approved launch digests can't be right.")
    complete = count == len(listed)
    if contents is not None and complete and contents.launch_digest not in listed:
        raise contradiction("Its launch digest is none of those that were approved.")


def todays_warnings(
    predicate: Predicate, policy: Policy, generation: str | None, advisories: Advisories
) -> Iterator[str]:
    """What is weak in the policy, and known today against processor and firmware."""
    for finding in policy.findings():
        yield finding.text
    for entry in advisories.for_generation(generation):
        yield f"{entry.name} ({entry.published}): {entry.summary}."
    if predicate.processor is not None:
        version: FirmwareVersion = predicate.processor.load()
        for entry in advisories.for_build(version):
            yield f"{entry.name} ({entry.published}), firmware {version}: {entry.summary}."
