# SPDX-License-Identifier: Apache-2.0
"""Two programs judge the same claims, right and wrong ones: their verdicts must be the same.

Where they are not, the difference has a name, and is told from the claim before either is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from watchword.core.simulator import FirmwareVersion, VirtualMachine

from .claims import Claim, Guest, validator_words, watchword_words
from .command_line import Answer, watchword
from .desk import CURRENT, REASON, Desk
from .mutations import FORM_MUTATIONS, KNOWN_DIFFERENCES, MUTATIONS, known_differences
from .peer_validator import Answer as ValidatorAnswer
from .peer_validator import Validator
from .table import Counts
from .verdicts import Verdict

SEV, ES = 0x1100002B, 0x1100002F
ROME, GENOA = (23, 49, 0), (25, 17, 0)
BOOT = {"kernel": "kernel", "initrd": "initrd", "cmdline": "root=/dev/vda quiet"}
TRUTHS: dict[str, tuple[Guest, int, FirmwareVersion]] = {
    "plain": (Guest(), SEV, CURRENT),
    "plain, weak policy": (Guest("other-firmware"), 0x1, CURRENT),
    "kernel": (Guest(**BOOT), SEV, CURRENT),
    "kernel alone": (Guest(kernel="kernel"), 0x3, CURRENT),
    "one vCPU": (Guest(vcpus=1), ES, CURRENT),
    "two vCPUs": (Guest(vcpus=2, cpu=ROME), ES, CURRENT),
    "many vCPUs": (Guest("other-reset", vcpus=17, cpu=GENOA), ES, CURRENT),
    "vCPUs and kernel": (Guest(vcpus=3, **BOOT), 0x5, FirmwareVersion(1, 49, 6)),
    "other VMSA generation": (Guest(vcpus=2, init2=True), ES, CURRENT),
    "SEV features": (Guest(vcpus=2, features=0x20), ES, CURRENT),
    "no hash area": (Guest("no-hash-area"), SEV, CURRENT),
    "old firmware": (Guest(), 0x1, FirmwareVersion(0, 16, 1)),
    "known-bad build": (Guest(), 0x1100002B, FirmwareVersion(0, 17, 11)),
}
OF_ALL_FORMS = ("plain", "vCPUs and kernel")
DOUBLE_MUTATIONS = 80


@dataclass(frozen=True, slots=True)
class Case:
    """A claim about a VM that runs, and how it came about."""

    name: str
    machine: VirtualMachine
    claim: Claim


@pytest.fixture(scope="module")
def truths(desk: Desk) -> list[Case]:
    """VMs, with the true claim about each; and the files that wrong claims name."""
    (desk.files / "passphrase").write_bytes(b"pass phrase")
    (desk.files / "cut-short").write_bytes((desk.files / "firmware").read_bytes()[:50_000])
    cases = []
    for name, (guest, policy, version) in TRUTHS.items():
        machine = desk.start(guest, policy, version)
        claim = desk.claim(machine, guest)
        # The peer can't be told of these by the CPU's numbers.
        pages = guest.init2 or bool(guest.features)
        cases.append(Case(name, machine, replace(claim, pages=pages)))
    _write_wrong_keys(cases[0].claim.keys.parent, desk)
    return cases


def _write_wrong_keys(folder: Path, desk: Desk) -> None:
    """Every claim has these beside its own keys: swapped, another launch's, cut short."""
    for policy in {policy for _, policy, _ in TRUTHS.values()}:
        keys = desk.blob(policy).keys
        tek, tik = (keys / f"{name}.bin" for name in ("tek", "tik"))
        wrong = {
            "swapped": (tik.read_bytes(), tek.read_bytes()),
            "other": (b"e" * 16, b"i" * 16),
            "short": (tek.read_bytes()[:15], tik.read_bytes()[:15]),
        }
        for name, pair in wrong.items():
            for key, content in zip(("tek", "tik"), pair, strict=True):
                path = folder / f"{name}-{policy:x}" / f"{key}.bin"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)


def single_mutations(truths: list[Case]) -> Iterator[Case]:
    for truth in truths:
        more = FORM_MUTATIONS if truth.name in OF_ALL_FORMS else {}
        for name, mutate in {**MUTATIONS, **more}.items():
            claim = mutate(truth.claim)
            if claim != truth.claim or name == "nothing":
                yield Case(f"{truth.name}: {name}", truth.machine, claim)


def double_mutations(truths: list[Case]) -> Iterator[Case]:
    """Pairs scattered over all there are, the same ones in each run."""
    names = list(MUTATIONS)
    for number in range(DOUBLE_MUTATIONS):
        truth = truths[number % len(truths)]
        first, second = names[7 * number % len(names)], names[(13 * number + 5) % len(names)]
        claim = MUTATIONS[second](MUTATIONS[first](truth.claim))
        yield Case(f"{truth.name}: {first}, {second}", truth.machine, claim)


@dataclass(slots=True)
class Outcomes:
    """How often the verdicts agreed, and differed by each name; packets that were accepted."""

    agreed: Counter[Verdict] = field(default_factory=Counter)
    differed: Counter[str] = field(default_factory=Counter)
    packets: int = 0

    def take(self, case: Case, theirs: ValidatorAnswer, ours: Answer) -> None:
        """One more case. Fails where they differ and nothing in the claim explains it."""
        if theirs.verdict is ours.verdict:
            self.agreed[ours.verdict] += 1
            return
        names = [
            name
            for name in known_differences(case.claim)
            if theirs.status in KNOWN_DIFFERENCES[name].theirs
            and ours.code in KNOWN_DIFFERENCES[name].ours
        ]
        assert names, f"{case.name}: {theirs} by the peer, {ours} {ours.code} by us"
        self.differed[names[0]] += 1


def sealed_and_accepted(case: Case, folder: Path) -> bool:
    """Whether ``secret seal`` makes a packet; the VM's secure processor must accept it then."""
    claim = case.claim
    answer = watchword(
        *("secret", "seal", *watchword_words(claim), f"--tek={claim.keys / 'tek.bin'}"),
        *(f"--waive-policy={REASON}", f"--secret=disk-passphrase={claim.files / 'passphrase'}"),
        f"--out={folder}",
    )
    assert folder.exists() == (answer.verdict is Verdict.ACCEPTED), case.name
    if not folder.exists():
        return False
    header, payload = ((folder / name).read_text() for name in ("header.b64", "payload.b64"))
    case.machine.inject_secret(header, payload, None)
    return True


def judge(cases: Iterable[Case], validator: Validator, folder: Path) -> Outcomes:
    """Compare the verdicts case by case, and seal a secret for each."""
    outcomes = Outcomes()
    for number, case in enumerate(cases):
        theirs = validator(*validator_words(case.claim))
        ours = watchword("measurement", "verify", *watchword_words(case.claim))
        outcomes.take(case, theirs, ours)
        sealed = sealed_and_accepted(case, folder / str(number))
        # A packet exactly where the measurement verifies, whatever the peer says; and never
        # where the peer says that this is another VM.
        assert sealed == (ours.verdict is Verdict.ACCEPTED), case.name
        assert not (sealed and theirs.verdict is Verdict.REFUSED), case.name
        outcomes.packets += sealed
    return outcomes


@pytest.fixture
def no_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why a measurement differs takes longer to find than that it does, and is no verdict."""
    monkeypatch.setattr("watchword.core.cli.explain.explain_mismatch", lambda *_: None)


def test_a_refusal_that_is_explained_is_the_same_refusal(
    truths: list[Case], validator: Validator
) -> None:
    for truth in truths:
        claim = MUTATIONS["other build"](truth.claim)
        answer = watchword("measurement", "verify", *watchword_words(claim))
        assert answer.verdict is validator(*validator_words(claim)).verdict is Verdict.REFUSED
        # Firmware that is refused for what it is needs no more explanation.
        explained = "diagnosis" in answer.payload["error"]["details"]
        assert explained == (answer.code == "measurement-mismatch")


@pytest.mark.slow
@pytest.mark.usefixtures("no_diagnosis")
def test_the_verdicts_are_the_same_but_for_named_differences(
    truths: list[Case], validator: Validator, tmp_path: Path, compared: Counts
) -> None:
    cases = [*single_mutations(truths), *double_mutations(truths)]
    outcomes = judge(cases, validator, tmp_path)
    for verdict, count in outcomes.agreed.items():
        compared.agree(f"verdict-{verdict.value}", count)
    assert outcomes.differed.keys() == KNOWN_DIFFERENCES.keys()
    for name, count in outcomes.differed.items():
        compared.differ(name, count)
    compared.agree("sealed-packets", outcomes.packets)
