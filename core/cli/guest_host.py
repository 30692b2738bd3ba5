# SPDX-License-Identifier: Apache-2.0
"""The host URL of a guest profile, read as strictly as it will be when somebody connects."""

from __future__ import annotations

from ..errors import BadInput, UsageError
from ..guest.lint import Finding, Severity
from ..guest.profile import GuestProfile
from ..hosts.host_warnings import host_warnings
from ..hosts.urls import parse_host_url


def readable_host(text: str) -> str:
    """The URL as a profile keeps it; UsageError ``bad-host-url`` for what can be none."""
    return parse_host_url(text).url


def host_findings(profile: GuestProfile) -> tuple[Finding, ...]:
    """What is to be said of the profile's host."""
    if profile.host is None:
        return ()
    try:
        address = parse_host_url(profile.host)
    except UsageError as error:
        unusable = BadInput(error.code, "the profile's host URL", error.message, error.remedy)
        return (Finding(error.code, Severity.PROBLEM, error.message, unusable),)
    return tuple(
        Finding(warning.code, Severity.WARNING, warning.text) for warning in host_warnings(address)
    )
