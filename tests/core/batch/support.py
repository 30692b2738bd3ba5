# SPDX-License-Identifier: Apache-2.0
"""What the batch's tests share: a folder with profiles and manifests, and a desk that plays."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

from watchword.core.batch.checking import check_fleet
from watchword.core.batch.manifest_errors import ManifestInvalid, ManifestRefused
from watchword.core.guest.approvals import APPROVABLE
from watchword.core.guest.approving import approve
from watchword.core.guest.document import profile_from_document, profile_text
from watchword.core.guest.store import ProfileStore
from watchword.core.hosts.protocol import StartOrder
from watchword.core.launch.engine import Launch
from watchword.core.launch.record import LaunchState
from watchword.core.launch.sev_steps import LAUNCH_STEPS
from watchword.core.launch.store import LaunchSummary
from watchword.core.simulator import build_firmware

NOW = datetime(2026, 11, 23, 14, 0, 0, tzinfo=UTC)
CEK = "ab" * 32


class FleetFolder:
    """A manifest's folder with a firmware and guest profiles; SEV-ES, one chip pinned."""

    def __init__(self, path):
        self.path = path
        self.firmware = path / "OVMF.fd"
        self.firmware.write_bytes(build_firmware())
        self.store = ProfileStore(path / "guests")

    def document(self, name="web", **values):
        document = {
            "name": name,
            "technology": "sev-es",
            "policy": "default",
            "firmware": str(self.firmware),
            "vcpus": 2,
            "cpu": "EPYC-Milan",
            "ceks": [CEK],
            **values,
        }
        return {key: value for key, value in document.items() if value is not None}

    def profile(self, name="web", *, approved=True, **values):
        """A profile that is kept, its files approved as they are."""
        profile = profile_from_document(self.document(name, **values), name)
        if approved:
            profile = approve(profile, APPROVABLE, NOW)[0]
        self.store.add(profile)
        return profile

    def check(self, text, entries=None):
        """The fleet of a manifest's text."""
        return check_fleet(text.encode(), "fleet.toml", self.path, self.store, entries)

    def problems(self, text, entries=None):
        """What is wrong with a manifest: place and line, with the sentences."""
        try:
            self.check(text, entries)
        except (ManifestInvalid, ManifestRefused) as error:
            found = {}
            for one in error.problems:
                found.setdefault((".".join(map(str, one.path)), one.line), []).append(one.sentence)
            return {place: " | ".join(sentences) for place, sentences in found.items()}
        return {}


def launches(*names, guest="web", more=""):
    """A manifest with a launch of this guest for each name, on sockets of their own."""
    text = "format = 1\n"
    for name in names:
        text += f'[[launch]]\nname = "{name}"\nguest = "{guest}"\nhost = "qmp+unix:///run/{name}"\n'
        text += more
    return text


class FakeHost:
    """Somebody answers; nothing is asked of him."""

    async def close(self):
        pass


class FakeRun:
    """A launch that takes its steps without a host, up to a step at which it is told to fail."""

    def __init__(self, desk, launch_id, host, observe):
        self.desk, self.id, self.host, self.observe = desk, launch_id, host, observe
        self.launch = Launch(launch_id, "sev", LAUNCH_STEPS)
        for step in LAUNCH_STEPS:
            for name in step.answers:
                self.launch = self.launch.answer(name, "x")
        self.start_order = None
        self.record = desk.records.get(launch_id) or SimpleNamespace(state="preparing")
        self.closed = False

    async def run(self, until=None):
        while (step := self.launch.next_step()) is not None:
            trouble = self.desk.trouble.get((self.host, step.id))
            if callable(trouble):
                await trouble()
            elif trouble is not None:
                self.launch = self.launch.fail(step.id, {"title": "trouble"})
                self.observe(self.launch)
                raise trouble
            self.launch = self.launch.establish(step.id, {})
            self.observe(self.launch)
            if step.id == "session":
                self.start_order = StartOrder(b"GODH", b"BLOB", 0x1100002F)
            if step.id == until:
                break
        return self.launch

    def close(self):
        self.closed = True


class FakeDesk:
    """A desk that remembers what was ordered; ``trouble`` maps (host, step) to an error."""

    def __init__(self):
        self.orders = []
        self.opened = []
        self.runs = []
        self.trouble = {}
        self.known = []
        self.records = {}
        self.others_wrote = 0
        self.claimed = set()
        self.busy = {}

    def claim(self, guest, host):
        return None if (guest, host) in self.claimed else SimpleNamespace(release=lambda: None)

    def newest(self, guest, host):
        found = [one for one in self.known if (one.guest, one.host) == (guest, host)]
        return max(found, key=lambda one: one.created, default=None)

    def new(self, order, observe):
        self.orders.append(order)
        return self._run(f"launch-{len(self.orders)}", order.host, observe)

    def open(self, launch_id, observe):
        if launch_id in self.busy:
            raise self.busy[launch_id]
        self.opened.append(launch_id)
        [host] = [summary.host for summary in self.known if summary.id == launch_id]
        return self._run(launch_id, host, observe)

    def checked(self, launch_id):
        return self.records[launch_id]

    def list(self, *, guest=None):
        return tuple(one for one in self.known if guest in (None, one.guest))

    def _run(self, launch_id, host, observe):
        run = FakeRun(self, launch_id, host, observe)
        self.runs.append(run)
        return run

    def knows(self, launch_id, profile, host, state=LaunchState.PREPARED, at=None, **order):
        """An earlier launch, newer than those before unless ``at`` says its second."""
        created = f"2026-11-23T14:00:{len(self.known) if at is None else at:02}Z"
        row = (launch_id, profile.name, profile.technology, 0, state, host, "", created, created)
        self.known.insert(0, LaunchSummary(*row))
        waived = dict.fromkeys(("platform_waiver", "policy_waiver", "firmware_waiver"))
        waived["trusted_roots"] = ()
        self.records[launch_id] = SimpleNamespace(
            id=launch_id,
            guest=profile.name,
            simulated=False,
            state=state,
            running=created if state in (LaunchState.RUNNING, LaunchState.STOPPED) else None,
            is_abandoned=False,
            order=SimpleNamespace(**{**waived, "profile": profile_text(profile), **order}),
        )
