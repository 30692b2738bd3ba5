# SPDX-License-Identifier: Apache-2.0
"""Why a watch gave nothing away, in words that its owner can act on."""

from __future__ import annotations

from ..errors import AnswerPending, BadInput, UsageError, VerificationRefused

_LONGEST_SHOWN = 128


def shown(text: str) -> str:
    """A stranger's word as it may be shown and recorded: ASCII, escaped, and cut."""
    return ascii(text[:_LONGEST_SHOWN])[1:-1]


def bad_request(field: str, problem: str) -> BadInput:
    """A request that can't be read."""
    return BadInput(
        "bad-request", field, problem, "See docs/watch.md for what a request has to look like."
    )


def request_taken(request: str) -> VerificationRefused:
    """A request of this name was answered, and it was for something else."""
    return VerificationRefused(
        "request-id-taken",
        "Another request has this name",
        f"“{shown(request)}” was asked before, for another guest, host or platform.",
        "Give every request a name of its own, such as a random UUID.",
        {"request": shown(request)},
    )


def request_over(request: str, launch_id: str, state: str) -> VerificationRefused:
    """A request whose launch is over or was given up."""
    return VerificationRefused(
        "request-over",
        "What was asked for is over",
        f"Launch {launch_id} of request “{shown(request)}” is {state}.",
        "Ask anew, under another name.",
        {"launch": launch_id, "request": shown(request), "state": state},
    )


def too_many_instances(guest: str, live: int, most: int) -> VerificationRefused:
    """As many VMs of a guest are live as its profile allows."""
    return VerificationRefused(
        "too-many-instances",
        "As many VMs of this guest are live as may be",
        f"{live} launches of “{guest}” are prepared or live; its profile allows {most}.",
        "More needs a person: see `watchword launch list`, and give up what is not in use, or"
        f" raise the limit: `watchword guest edit {guest} --set watch.instances_at_most=NUMBER`.",
        {"guest": guest, "live": live, "instances_at_most": most},
    )


def too_many_starts(guest: str, most: int) -> VerificationRefused:
    """As many blobs were given out for a guest within an hour as its profile allows."""
    return VerificationRefused(
        "too-many-starts",
        "This guest was started often enough in this hour",
        f"{most} launches of “{guest}” were begun within the last hour; its profile allows no"
        " more.",
        "Wait, or have a person look why so many are asked for. The limit is in the profile:"
        f" `watchword guest edit {guest} --set watch.starts_per_hour=NUMBER`.",
        {"guest": guest, "starts_per_hour": most},
    )


def firmware_not_approved(guest: str, sha256: str) -> VerificationRefused:
    """A VM is to be started with firmware that the profile does not have."""
    return VerificationRefused(
        "firmware-not-approved",
        "The owner has not approved this firmware",
        f"The VM is to be started with firmware {sha256}, which is none of guest “{guest}”.",
        "If it is an update that you agree to: `watchword guest edit"
        f" {guest} --add firmware=FILE`. Otherwise have the VM started with the approved one.",
        {"guest": guest, "firmware_sha256": sha256},
    )


def nothing_to_ask() -> VerificationRefused:
    """A request with neither certificates nor a host that could be asked for them."""
    return VerificationRefused(
        "no-certificates",
        "Nobody says on what platform the VM is to run",
        "The request has neither the platform's certificates nor the URL of a host to ask.",
        "Send the chain along (`sevctl export`), or the host's URL.",
    )


def unknown_vm(host: str, why: str) -> VerificationRefused:
    """A paused VM that waits with no launch that was prepared here."""
    return VerificationRefused(
        "unknown-vm",
        "A VM waits that nobody prepared",
        f"The VM at {host} {why}.",
        "Nothing was sent. If it is yours, have a launch blob asked for first, and start it with"
        " that one.",
        {"host": host},
    )


def launch_over(launch_id: str, state: str, host: str) -> VerificationRefused:
    """A VM that was started from a blob whose launch came to its end."""
    return VerificationRefused(
        "launch-over",
        "The launch of this VM is over",
        f"Launch {launch_id}, from whose blob the VM at {host} was started, is {state}. From one"
        " blob one VM gets its secret.",
        "Nothing was sent. Have a new launch blob asked for.",
        {"launch": launch_id, "state": state, "host": host},
    )


def sealed_for_another(launch_id: str, host: str) -> VerificationRefused:
    """A second VM from one blob, after the packet was sealed for the first one."""
    return VerificationRefused(
        "sealed-for-another-vm",
        "The secret was sealed for another VM",
        f"The one packet of launch {launch_id} belongs to a VM elsewhere, not to that at {host}.",
        "Nothing was sent. Have a new launch blob asked for.",
        {"launch": launch_id, "host": host},
    )


def refused_too_often(launch_id: str, times: int) -> VerificationRefused:
    """A launch that was refused again and again."""
    return VerificationRefused(
        "refused-too-often",
        "This launch was refused too often",
        f"Launch {launch_id} was refused {times} times; the watch does not take it up again.",
        f"See why with `watchword launch show {launch_id}`.",
        {"launch": launch_id, "times": times},
    )


def not_for_watch(launch_id: str) -> VerificationRefused:
    """A launch in which something was waived, or that is under a root of the owner's choice."""
    return VerificationRefused(
        "waived-in-watch",
        "A watch does not go on with what was waived",
        f"Launch {launch_id} was prepared with a waiver, unpinned, or for a root that is not"
        " AMD's.",
        f"Look at it, and complete it by itself: `watchword launch complete {launch_id}`.",
        {"launch": launch_id},
    )


def prepared_otherwise(launch_id: str, guest: str) -> VerificationRefused:
    """A launch of another state of the profile than today's."""
    return VerificationRefused(
        "prepared-otherwise",
        "The profile has changed since",
        f"Launch {launch_id} was prepared for guest profile “{guest}” as it was then.",
        "Have a new launch blob asked for.",
        {"launch": launch_id, "guest": guest},
    )


def several_launches(host: str, count: int) -> VerificationRefused:
    """A measurement that fits several launches, which no honest secure processor gives."""
    return VerificationRefused(
        "ambiguous-vm",
        "The VM could be that of several launches",
        f"The measurement at {host} is that of {count} launches.",
        "Nothing was sent. Look at these launches: their keys can't be the same.",
        {"host": host, "launches": count},
    )


def first_firmware_refused(guest: str, sha256: str, *, by_person: bool) -> VerificationRefused:
    """Approved firmware that no launch has verified before, and that nobody wants."""
    who = "A person has refused it." if by_person else "The profile says to refuse it."
    return VerificationRefused(
        "first-firmware-refused",
        "This firmware was seen for the first time, and refused",
        f"No launch of yours has verified firmware {sha256} of guest “{guest}” before. {who}",
        "Launch it once by hand, or change first_firmware in the profile's [watch] table.",
        {"guest": guest, "firmware_sha256": sha256},
    )


def firmware_waits(launch_id: str, guest: str, approvals: tuple[str, ...]) -> AnswerPending:
    """A verified VM whose firmware a person has to allow first."""
    return AnswerPending(
        "first-firmware",
        "Firmware that no launch has verified before waits for a person",
        f"The VM of launch {launch_id} is verified; guest “{guest}” runs its firmware for the"
        " first time.",
        f"Allow or refuse it: approval {', '.join(approvals)}.",
        {"launch": launch_id, "guest": guest, "approvals": list(approvals)},
    )


def busy() -> AnswerPending:
    """More is under way than the rules allow."""
    return AnswerPending(
        "watch-busy",
        "Too much is under way",
        "As many requests and VMs wait as the watch takes on.",
        "Ask again in a while.",
    )


def at_work(launch_id: str) -> AnswerPending:
    """A launch that is being worked on at this moment."""
    return AnswerPending(
        "launch-at-work",
        "The launch is being worked on",
        f"The VM of launch {launch_id} is just being verified.",
        "Ask again in a while.",
        {"launch": launch_id},
    )


def approvals_unusable(problem: str) -> UsageError:
    """A folder of approvals, or a decision in it, that others could have written."""
    return UsageError(
        "approvals-not-private",
        "The decisions of the owner can't be relied on",
        problem,
        "Give the folder and the files in it to yourself alone (chmod 700 and 600).",
    )
