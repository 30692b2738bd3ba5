# SPDX-License-Identifier: Apache-2.0
"""Certificate files that the peers ship, verified by ``watchword platform verify``.

No Debian package has them. Looked for with apt-cache in all that bookworm, bookworm-updates and
bookworm-security have in `main`: there is neither sevctl, sev-tool, snphost nor snpguest, nor
the Rust crate ``sev`` with its built-in certificates, nor any package whose description names
AMD's SEV; and amd64-microcode, from non-free-firmware, carries SEV firmware, not certificates.
The same files are in ../shared/vectors: a real Naples chain, and ASK and ARK of five
generations as the crate and AMD's server have them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .command_line import Answer, watchword
from .table import Counts

GENERATIONS = ("naples", "rome", "milan", "genoa", "turin")
ROLES = ("pdh", "pek", "oca", "cek", "ask", "ark")


@pytest.fixture
def naples(vectors: Path) -> dict[str, bytes]:
    return {role: (vectors / "chains" / "naples" / f"{role}.cert").read_bytes() for role in ROLES}


def verify(folder: Path, *contents: bytes) -> Answer:
    """Verify the certificates in these files."""
    paths = []
    for number, content in enumerate(contents):
        paths.append(folder / f"file{number}")
        paths[-1].write_bytes(content)
    return watchword("platform", "verify", *paths)


def verdicts(answer: Answer, *certificates: str) -> set[str]:
    """The verdicts on the links of these certificates."""
    links = answer.payload["links"]
    return {link["verdict"] for link in links if link["certificate"] in certificates}


def test_the_real_chain_in_every_layout_that_tools_make(
    naples: dict[str, bytes], tmp_path: Path, compared: Counts
) -> None:
    pdh, pek, oca, cek, ask, ark = (naples[role] for role in ROLES)
    layouts = {
        "sev-tool's six files": (pdh, pek, oca, cek, ask, ark),
        "sev-tool's chain, and AMD's CEK and ask_ark": (pdh, pek + oca + cek, cek, ask + ark),
        "sevctl's full export": (pdh + pek + oca + cek + ask + ark,),
        "sevctl's short export": (pdh + pek + oca + cek,),
    }
    for name, contents in layouts.items():
        answer = verify(tmp_path, *contents)
        assert answer.status == 0, name
        assert (answer.payload["root"], answer.payload["generation"]) == ("amd", "naples")
        assert verdicts(answer, *ROLES) == {"ok"}
    compared.agree("chain-naples", len(layouts))


def test_a_real_chain_with_another_generations_root_is_refused(
    naples: dict[str, bytes], vectors: Path, tmp_path: Path
) -> None:
    rome = [(vectors / "chains" / "rome" / f"{role}.cert").read_bytes() for role in ("ask", "ark")]
    own = [naples[role] for role in ROLES[:4]]
    assert verify(tmp_path, *own, *rome).status == 3


def test_ask_and_ark_of_each_generation(vectors: Path, tmp_path: Path, compared: Counts) -> None:
    """AMD's chain alone: the platform's half is missing, and said to be."""
    for generation in GENERATIONS:
        folder = vectors / "chains" / generation
        ask, ark = ((folder / f"{role}.cert").read_bytes() for role in ("ask", "ark"))
        answer = verify(tmp_path, ask + ark)
        assert verdicts(answer, "ask", "ark") == {"ok"}
        assert verdicts(answer, "pdh", "pek", "cek") == {"missing"}
        assert answer.status == 3
    compared.agree("chain-roots", len(GENERATIONS))


def test_the_synthetic_platform_holds_under_its_named_root_alone(
    vectors: Path, tmp_path: Path
) -> None:
    folder = vectors / "fake-platform"
    files = [folder / f"{role}.cert" for role in ROLES]
    assert watchword("platform", "verify", *files).status == 3
    named = watchword("platform", "verify", *files, f"--trust-root={folder / 'ark.cert'}")
    assert named.status == 0
    assert named.payload["root"] == "not-amd"
