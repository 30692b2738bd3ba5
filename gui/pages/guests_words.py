# SPDX-License-Identifier: Apache-2.0
"""How the window speaks of guest profiles: verdicts, findings, and the profile in rows."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QCoreApplication

from watchword.core.guest.fields import write_vcpus
from watchword.core.guest.lint import Severity
from watchword.core.guest.profile import ApprovedFile, GuestProfile
from watchword.core.guest.rules import FILES

from ..widgets.key_value_table import Row
from ..widgets.state_badge import Look
from ..widgets.tones import Tone
from .guests_service import Guest, Verdict

translate = QCoreApplication.translate
_CONTEXT = "Guests"


def verdict_look(verdict: Verdict) -> Look:
    """A verdict as a badge."""
    return {
        Verdict.GO: Look("ok", translate(_CONTEXT, "GO"), Tone.OK),
        Verdict.WAIVER: Look("waived", translate(_CONTEXT, "Needs a waiver"), Tone.WARN),
        Verdict.NOT_APPROVED: Look("clock", translate(_CONTEXT, "Not approved yet"), Tone.WARN),
        Verdict.CHANGED: Look("bad", translate(_CONTEXT, "A file has changed"), Tone.BAD),
        Verdict.NO_GO: Look("bad", translate(_CONTEXT, "NO-GO"), Tone.BAD),
        Verdict.UNREADABLE: Look("bad", translate(_CONTEXT, "Can't be read"), Tone.BAD),
    }[verdict]


def verdict_sentence(guest: Guest) -> str:
    """What the verdict means, in a line."""
    if guest.report is not None and guest.verdict is Verdict.GO:
        count = 0 if guest.report.expected is None else len(guest.report.expected.digests)
        if count == 1:
            return translate(_CONTEXT, "It can be launched; one launch digest is allowed.")
        return translate(
            _CONTEXT, "It can be launched; {count} launch digests are allowed."
        ).format(count=count)
    return {
        Verdict.WAIVER: translate(
            _CONTEXT, "Each launch needs a reason that you type, because of what is refused below."
        ),
        Verdict.NOT_APPROVED: translate(
            _CONTEXT, "Look at what it names, and approve it if that is what shall run."
        ),
        Verdict.CHANGED: translate(
            _CONTEXT, "It can't be launched: a file is not the one that you approved."
        ),
        Verdict.NO_GO: translate(_CONTEXT, "It can't be launched as it is; see the problems."),
    }.get(guest.verdict, translate(_CONTEXT, "Its file can't be used as it is."))


def severity_look(severity: Severity) -> Look:
    """How much a finding matters, as icon, word and tone."""
    return {
        Severity.PROBLEM: Look("bad", translate(_CONTEXT, "Problem"), Tone.BAD),
        Severity.REFUSED: Look("waived", translate(_CONTEXT, "Refused"), Tone.BAD),
        Severity.WARNING: Look("warn", translate(_CONTEXT, "Warning"), Tone.WARN),
        Severity.NOTE: Look("info", translate(_CONTEXT, "Note"), Tone.INFO),
    }[severity]


def technology_name(profile: GuestProfile) -> str:
    """``SEV`` or ``SEV-ES``."""
    return profile.technology.upper()


def component_name(component: str) -> str:
    """A file of a profile in a word."""
    return {
        "firmware": translate(_CONTEXT, "Firmware"),
        "kernel": translate(_CONTEXT, "Kernel"),
        "initrd": translate(_CONTEXT, "Initrd"),
        "oca": translate(_CONTEXT, "Owner CA"),
    }.get(component, component)


def profile_rows(profile: GuestProfile) -> Iterator[Row]:
    """All of a profile but its policy."""
    yield Row(translate(_CONTEXT, "Technology"), technology_name(profile))
    host = profile.host or translate(_CONTEXT, "Not stated: it is asked for at each launch")
    yield Row(translate(_CONTEXT, "Host"), host, copy=profile.host is not None)
    for component in FILES:
        for entry in getattr(profile, component):
            yield _file_row(component, entry)
    for line in profile.cmdline:
        text = f"SHA-256 {line.sha256.hex()}" if line.text is None else line.text
        name = translate(_CONTEXT, "Command line")
        yield Row(name, text or "“”", copy=True, term="kernel-command-line")
    if profile.vcpus:
        cpus = ", ".join(cpu.name for cpu in profile.cpu)
        words = translate(_CONTEXT, "{counts}, of {cpus}")
        text = words.format(counts=write_vcpus(profile.vcpus), cpus=cpus)
        yield Row(translate(_CONTEXT, "vCPUs"), text, term="vmsa")
    for secret in profile.secret_references:
        words = translate(_CONTEXT, "{name}, from the vault entry {entry}")
        name = translate(_CONTEXT, "Secret")
        yield Row(name, words.format(name=secret.name, entry=secret.entry), term="secret")
    yield from _platform_rows(profile)


def _platform_rows(profile: GuestProfile) -> Iterator[Row]:
    oldest = "API {}.{}".format(*profile.minimum_api)
    if profile.minimum_build:
        oldest += f" build {profile.minimum_build}"
    name = translate(_CONTEXT, "Oldest platform")
    yield Row(name, oldest, term="api-and-build")
    if profile.oca is not None:
        pin = profile.oca.sha256 or profile.oca.path or ""
        yield Row(translate(_CONTEXT, "Owner CA"), pin, hex=True, copy=True, term="oca")
    for cek in profile.ceks:
        name = translate(_CONTEXT, "Chip (CEK)")
        yield Row(name, cek.sha256, hex=True, copy=True, term="cek")


def _file_row(component: str, entry: ApprovedFile) -> Row:
    when = translate(_CONTEXT, "not approved yet")
    if entry.approved is not None:
        when = translate(_CONTEXT, "approved on {day}").format(day=f"{entry.approved:%Y-%m-%d}")
    text = f"{entry.label}, {when}"
    if entry.sha256:
        text += f"\nSHA-256 {entry.sha256}"
    term = "firmware" if component == "firmware" else ""
    return Row(component_name(component), text, term=term)
