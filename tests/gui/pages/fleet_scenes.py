# SPDX-License-Identifier: Apache-2.0
"""The page of fleets in states that are worth looking at, for the gallery."""

from __future__ import annotations

from pathlib import Path

from watchword.core.batch.fleet import Fleet, FleetLaunch
from watchword.core.batch.intent import Intent, Phase
from watchword.core.batch.manifest_errors import ManifestInvalid
from watchword.core.guest.problems import Problem
from watchword.core.guest.profile import GuestProfile
from watchword.core.vault.header import OpenWith
from watchword.core.watch.approvals import request_approval
from watchword.gui.fleet_service import CheckedFleet, FleetService, PlannedLaunch
from watchword.gui.launch_service import LaunchService
from watchword.gui.pages.fleet_page import FleetPage

from . import scenes
from .support import MemoryBackend

PROBLEMS = (
    Problem(("launch", 0, "gest"), "There is no such key. Did you mean “guest”?", 14),
    Problem(("launch", 1, "guest"), "There is no guest profile “wbe”. See `guest list`.", 19),
    Problem(("hosts", "rack1", "limit"), "It must be a number from 1 to 10000.", 8),
    Problem(
        ("launch", 2, "profile", "firmware"),
        "/srv/firmware/OVMF.amdsev.fd can't be read: No such file or directory. Check the path,"
        " and that your user may read the file.",
        None,
    ),
)

WATCH = 'format = 1\nguests = ["web1"]\napprovals = "approvals"\n'


def planned(count, intent=Intent.BEGIN, launch_id=""):
    """So many launches of one guest."""
    return tuple(
        PlannedLaunch(f"web{n}", "web", f"qmp+unix:///run/watchword/web{n}.sock", intent, launch_id)
        for n in range(1, count + 1)
    )


def checked(home, launches, starting=0, warnings=()):
    """A sound manifest with these launches, of which some have a start command."""
    profile = GuestProfile.__new__(GuestProfile)
    fleet = Fleet(
        tuple(
            FleetLaunch(
                name=one.name,
                profile=profile,
                host=one.host,
                certificates=(),
                inject=True,
                folder=home / "out" / one.name,
                start=("./start-vm", "{name}", "{godh}", "{session}") if n < starting else None,
                start_seconds=60,
                wait=60,
            )
            for n, one in enumerate(launches)
        ),
        tuple(warnings),
    )
    return CheckedFleet(
        Path(home / "fleet.toml"), b"", Phase.ALL, fleet, launches, None, vault_known=True
    )


def result(name, outcome, error=None, launch=None):
    """An event as the batch tells it."""
    words = {"event": "result", "name": name, "outcome": outcome}
    words["launch"] = launch or f"web-20261123-{name}"
    return words | ({} if error is None else {"error": error})


def trouble(code, title, message="What happened.", remedy="What to do."):
    """An error as the batch tells it."""
    return {"code": code, "title": title, "message": message, "remedy": remedy, "details": {}}


def _page(bridge, home, settle, size):
    vaults = scenes.make_service(home / "vault", MemoryBackend())
    vaults.create(OpenWith.SESSION_ONLY)
    page = FleetPage(bridge, FleetService(LaunchService(vaults)))
    page.resize(*size)
    page.show()
    settle(page)
    return page


def fleet_none(bridge, home, settle, size):
    page = _page(bridge, home, settle, size)
    page.resize(size[0], 760)
    return page, page


def fleet_problems(bridge, home, settle, size):
    page = _page(bridge, home, settle, size)
    _name(page, "fleet.toml")
    page._fail(ManifestInvalid("fleet.toml", PROBLEMS, 3))
    return page, page


def fleet_checked(bridge, home, settle, size):
    page = _page(bridge, home, settle, size)
    _name(page, "fleet.toml")
    launches = (*planned(18), *planned(20, Intent.GO_ON, "web-20261122-0a1b2c")[18:])
    warnings = ("guest profile web: Its policy lets the host migrate it.",)
    page._show_checked(checked(home, launches, starting=12, warnings=warnings))
    page.options.more.set_open(True)
    page.resize(size[0], 1100)
    return page, page


def fleet_running(bridge, home, settle, size):
    page = _page(bridge, home, settle, size)
    _name(page, "fleet.toml")
    page._show_checked(checked(home, planned(40)))
    page._ran = True
    page.model.apply(_events())
    page._follow()
    page.table.table.selectRow(1)
    page.resize(size[0], 1500)
    return page, page


def fleet_questions(bridge, home, settle, size):
    page = _page(bridge, home, settle, size)
    folder = home / "approvals"
    for number in (1, 2):
        request_approval(
            folder,
            f"web{number}",
            f"{number}f" * 32,
            launch_id=f"web{number}-20261124-0a1b2c",
            host="libvirt+qemu+ssh://root@rack1.example.net/system#web1",
            asked="2026-11-24T00:10:00Z",
        )
    (home / "watch.toml").write_text(WATCH)
    page.questions.set_open(True)
    page.questions.settings.set_path(str(home / "watch.toml"))
    settle(page)
    page.resize(size[0], 1100)
    return page, page


def _name(page, name):
    page._looked_at = f"/srv/fleets/{name}"
    page.manifest.edit.setModified(True)
    page.manifest.edit.blockSignals(True)
    page.manifest.edit.setText(page._looked_at)
    page.manifest.edit.blockSignals(False)


def _events():
    mismatch = trouble(
        "measurement-mismatch",
        "The measurement does not match",
        "The VM was started with another firmware than OVMF.amdsev.fd.",
        "Nothing was sent. Have it started with the approved firmware.",
    )
    refused = trouble(
        "machine-refused",
        "Not tried: its machine was refused",
        "The platform of rack2 was refused for launch “web9”.",
        "Look at that refusal. Once the machine is in order: --resume --retry-failed.",
    )
    elsewhere = trouble(
        "launched-elsewhere",
        "Another batch launches it",
        "Another process is at work on it.",
        "Look at that one's result; go on with --resume if it was ended.",
    )
    events = [result(f"web{n}", "done") for n in range(3, 20)]
    events += [result("web2", "failed", mismatch), result("web20", "failed", mismatch)]
    events += [result(f"web{n}", "not-tried", refused) for n in range(21, 24)]
    events += [result("web1", "done-before"), result("web24", "elsewhere", elsewhere)]
    events += [
        {
            "event": "step",
            "name": f"web{n}",
            "launch": f"web-{n}",
            "step": "measurement",
            "state": "done",
        }
        for n in range(25, 32)
    ]
    return events


FLEET_SCENES = {
    "fleet-none": fleet_none,
    "fleet-problems": fleet_problems,
    "fleet-checked": fleet_checked,
    "fleet-running": fleet_running,
    "fleet-questions": fleet_questions,
}
