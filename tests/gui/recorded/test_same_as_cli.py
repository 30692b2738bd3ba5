# SPDX-License-Identifier: Apache-2.0
"""A launch in the window and one at the command line leave the same entries in the ledger."""

from __future__ import annotations

import pytest

from watchword.core.cli.main import main
from watchword.core.launch.store import LaunchStore
from watchword.core.records.database import Records
from watchword.core.sev.session import LaunchMaterial
from watchword.gui.launch_service import LaunchService

from ...core.launch.support import PASSPHRASE
from .support import begin, ledger_entries

RANDOM = {"nonce", "measurement", "packet_sha256", "sha256", "id", "launch"}
"""What is drawn anew for each launch, or follows from that."""


@pytest.fixture
def service(vaults):
    """As the program has it: AMD's own roots, real hosts."""
    return LaunchService(vaults)


def material_of(office, launch_id) -> LaunchMaterial:
    with Records.open(office.home) as records:
        return LaunchStore(records).load(launch_id).record.session.material()


def plain(value):
    """A body without what is random, but with its names."""
    if isinstance(value, dict):
        return {name: name if name in RANDOM else plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def story(office, launch_id):
    mine = [entry for entry in ledger_entries(office.home) if entry.launch_id == launch_id]
    return [(entry.kind.value, entry.simulated, plain(dict(entry.body))) for entry in mine]


def by_window(make_wizard, host, chain, ark):
    person = make_wizard()
    choices = person.wizard.choices
    choices.files.add_files([str(chain)])
    choices.files_alone.setChecked(True)
    choices.root.set_path(str(ark))
    begin(person, host.url)
    person.rest_on("session")
    host.start_in_place(person.wizard.run.material)
    person.go_on()
    person.rest_on("secret")
    person.go_on()
    person.rest_on("run")
    launch_id = person.launch.id
    person.wizard.close_launch()
    return launch_id


def by_command(office, host, chain, ark, tmp_path, capsys, first):
    password = tmp_path / "passphrase"
    password.write_bytes(PASSPHRASE + b"\n")
    opening = ("--passphrase-file", str(password))
    words = ["launch", "prepare", "vm1", "--host", host.url, "--platform", str(chain)]
    words += ["--trust-root", str(ark), "--out", str(tmp_path / "give"), *opening]
    assert main(words) == 0, capsys.readouterr()
    with Records.open(office.home) as records:
        # Both may have begun in the same second.
        (launch_id,) = {launch.id for launch in LaunchStore(records).list()} - {first}
    material = material_of(office, launch_id)
    assert (tmp_path / "give" / "session.b64").read_text() == material.session_base64
    host.start_in_place(material)
    assert main(["launch", "complete", launch_id, *opening]) == 0, capsys.readouterr()
    return launch_id


def test_kinds_and_bodies_are_the_same_but_for_what_is_random(
    make_wizard, office, host, tmp_path, capsys, qtbot, bridge
):
    chain, ark = tmp_path / "chain.cert", tmp_path / "ark.cert"
    chain.write_bytes(office.keys.full_chain)
    ark.write_bytes(office.keys.root.ark)
    first = by_window(make_wizard, host, chain, ark)
    qtbot.waitUntil(lambda: not bridge.busy)
    second = by_command(office, host, chain, ark, tmp_path, capsys, first)
    expected, found = story(office, second), story(office, first)
    assert [kind for kind, *_ in found] == [kind for kind, *_ in expected]
    assert len(found) >= 5
    assert found == expected
