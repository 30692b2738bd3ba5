# SPDX-License-Identifier: Apache-2.0
"""What is to be said of a profile: changed files, its policy, weak spots."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ..errors import BadInput, VerificationRefused, WatchwordError
from ..sev.policy import approve_policy
from ..sev.secret_table import Route
from .approvals import OCA, ExaminedFile, FileState, look_at, not_approved, refuse_changed
from .cmdline_scan import credential_words
from .profile import GuestProfile


class Severity(StrEnum):
    """How much a finding matters."""

    PROBLEM = "problem"
    REFUSED = "refused"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to say of a profile.

    A ``problem`` keeps it from being launched as it is, and ``refused`` takes a waiver with
    a typed reason at each launch; ``error`` is what a launch would end with.
    """

    code: str
    severity: Severity
    text: str
    error: WatchwordError | None = field(default=None, repr=False, compare=False)

    def as_json(self) -> dict[str, object]:
        """The finding with stable field names."""
        return {"code": self.code, "severity": self.severity.value, "text": self.text}


def problem(error: WatchwordError, text: str = "") -> Finding:
    """A problem that a launch would end with; ``text`` where it has more to say here."""
    return Finding(error.code, Severity.PROBLEM, text or error.message, error)


def warning(code: str, text: str) -> Finding:
    """Something that is allowed and had better be known."""
    return Finding(code, Severity.WARNING, text)


def file_findings(profile: GuestProfile, files: Sequence[ExaminedFile]) -> Iterator[Finding]:
    """Every file that is not what the owner approved, or can't be looked at."""
    for file in files:
        if file.state is FileState.UNREADABLE and file.found.problem is not None:
            said = file.found.problem
            yield warning(said.code, f"The {file} can't be looked at. {said.message}")
            continue
        try:
            refuse_changed(profile.name, [file])
        except BadInput as error:
            yield problem(error, f"{error.message} {_claim(file)}".strip())


def _claim(file: ExaminedFile) -> str:
    """What an entry that is not approved says of its file, and what the file itself says."""
    if file.state is not FileState.NOT_APPROVED:
        return ""
    claimed, found = file.entry.sha256, file.found.sha256
    says = [f"The profile says SHA-256 {claimed}."] if claimed else []
    if found is not None:
        says.append("The file has it." if found == claimed else f"The file has {found}.")
    elif file.found.problem is not None:
        says.append(file.found.problem.message)
    return " ".join(says)


def oca_findings(profile: GuestProfile) -> Iterator[Finding]:
    """An owner CA that is not approved yet, or whose file holds another one by now."""
    if profile.oca is None or profile.oca.path is None:
        return
    path, pinned = profile.oca.path, profile.oca.sha256
    found = look_at(OCA, path)
    if pinned is None:
        yield problem(not_approved(profile.name, [f"owner CA {path}"]))
    elif found.problem is not None:
        yield warning(found.problem.code, f"The owner CA's file: {found.problem.message}")
    elif found.sha256 != pinned:
        yield warning(
            "oca-file-changed",
            f"{path} holds another owner CA ({found.sha256}) than the pinned one ({pinned})."
            " The pin is what counts.",
        )


def policy_findings(profile: GuestProfile) -> Iterator[Finding]:
    """What is weak in the policy; what is refused carries the refusal."""
    refusal: VerificationRefused | None = None
    try:
        approve_policy(profile.policy)
    except VerificationRefused as error:
        refusal = error
    for found in profile.policy.findings():
        if found.refused:
            yield Finding(found.code, Severity.REFUSED, found.text, refusal)
        else:
            yield warning(found.code, found.text)


def weak_spots(profile: GuestProfile) -> Iterator[Finding]:
    """What is allowed and had better be known."""
    yield from _cmdline_findings(profile)
    if profile.route is Route.GRUB and profile.kernel:
        yield warning(
            "route-and-kernel",
            "A kernel is measured, but the route says that GRUB reads the disk passphrase: it"
            " would get a NUL that the kernel takes for part of the passphrase.",
        )
    if profile.chosen_route is Route.KERNEL and not profile.kernel:
        yield warning(
            "kernel-not-measured",
            "A kernel is to read the disk passphrase, but none is measured.",
        )
    if profile.vcpus and not profile.needs_es:
        yield Finding(
            "vcpus-not-measured",
            Severity.NOTE,
            "Plain SEV does not measure vCPUs: any number of any CPU passes.",
        )
    if not profile.ceks:
        yield Finding(
            "any-chip",
            Severity.NOTE,
            "It names no chips (ceks): any genuine AMD platform will do, whoever runs it.",
        )
        if profile.watch is not None:
            yield warning(
                "watched-without-chips",
                "It may be watched for, but names no chips (ceks): a watch refuses every request"
                " for it.",
            )


def _cmdline_findings(profile: GuestProfile) -> Iterator[Finding]:
    for line in profile.cmdline:
        text = line.text or ""
        if words := credential_words(text):
            yield warning(
                "credential-in-cmdline",
                f"The command line has what looks like a credential, after {', '.join(words)}."
                " The host reads the command line, and evidence names it: hand secrets over as"
                " secrets.",
            )
        if text != text.strip():
            yield warning(
                "blank-at-cmdline-end",
                "A command line begins or ends with a blank. Every byte is measured: make sure"
                " that the host's has it too.",
            )


def missing_entries(
    profile: GuestProfile, vault_entries: Collection[str] | None
) -> Iterator[Finding]:
    """References to vault entries that are not there; nothing where the vault is not known."""
    if vault_entries is None:
        return
    for secret in profile.secret_references:
        if secret.entry not in vault_entries:
            yield warning(
                "vault-entry-missing",
                f"{secret.name} is to come from the vault entry “{secret.entry}”, and there is"
                " none of that name.",
            )
