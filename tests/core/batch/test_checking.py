# SPDX-License-Identifier: Apache-2.0
"""A manifest held against profiles, files, vault and the rules of a batch, all at once."""

from __future__ import annotations

import pytest

from watchword.core.batch.fleet import DEFAULT_WAIT
from watchword.core.batch.manifest_errors import ManifestInvalid, ManifestRefused
from watchword.core.hosts.host_warnings import NOT_ENCRYPTED
from watchword.core.hosts.locality import LOCAL_WARNING

from .support import CEK, launches

# A policy without NODBG: the host reads the memory.
WEAK = "0x1100002e"


def test_a_sound_manifest_is_a_fleet_with_defaults_applied(fleet):
    found = fleet.check(
        "[defaults]\n"
        'host = "qmp+unix:///run/{name}.sock"\n'
        'out = "give"\n'
        "inject = false\n"
        '[[launch]]\nname = "a"\nguest = "web"\n'
        '[[launch]]\nname = "b"\nguest = "web"\nhost = "exchange:///media/usb"\n'
        'inject = true\nout = "/srv/b"\nwait = 5\n'
        '[[launch]]\nname = "c"\nguest = "web"\nstart = ["./start", "{name}"]\n',
        entries=[],
    )
    first, second, third = found.launches
    assert (first.name, first.host) == ("a", "qmp+unix:///run/a.sock")
    assert (first.inject, first.folder, first.wait) == (False, fleet.path / "give" / "a", 0)
    assert (first.start, first.certificates, first.by_hand) == (None, (), False)
    assert (second.host, second.by_hand) == ("exchange:///media/usb", True)
    assert (second.inject, str(second.folder), second.wait) == (True, "/srv/b/b", 5)
    assert (third.start, third.wait) == (("./start", "{name}"), DEFAULT_WAIT)
    assert found.starting == ("c",)


def test_the_host_comes_from_the_launch_the_defaults_or_the_profile(fleet):
    fleet.profile("own", host="qmp+unix:///run/own")
    entry = '[[launch]]\nname = "a"\nguest = "own"\n'
    default = '[defaults]\nhost = "qmp+unix:///run/default"\n'
    assert fleet.check(entry).launches[0].host == "qmp+unix:///run/own"
    assert fleet.check(default + entry).launches[0].host == "qmp+unix:///run/default"
    stated = default + entry + 'host = "qmp+tcp://[::1]:4444"\n'
    assert fleet.check(stated).launches[0].host == "qmp+tcp://[::1]:4444"


def test_a_profile_in_the_manifest_may_leave_out_its_name(fleet):
    profile = fleet.profile("full", host="qmp+unix:///run/x")
    file = profile.firmware[0]
    text = (
        '[[launch]]\nname = "mine"\n[launch.profile]\ntechnology = "sev-es"\npolicy = "default"\n'
        f'vcpus = 2\ncpu = "EPYC-Milan"\nceks = "{CEK}"\nhost = "qmp+unix:///run/x"\n'
        f'firmware = {{path = "{file.path}", sha256 = "{file.sha256}",'
        " approved = 2026-11-23T14:00:00Z}\n"
    )
    [launch] = fleet.check(text).launches
    assert launch.profile.name == "mine"
    assert launch.profile.firmware[0].sha256 == file.sha256


def test_everything_that_is_wrong_is_told_in_one_run(fleet):
    fleet.profile("unpinned", ceks=[])
    fleet.profile("weak", policy=WEAK)
    fleet.profile("pending", approved=False)
    fleet.profile("secret", secrets={"disk-passphrase": "web/disk"})
    (fleet.path / "guests" / "broken.toml").write_text('name = "broken"\npolicy = "what"\n')
    (fleet.path / "odd.cert").write_bytes(b"no certificate")
    found = fleet.problems(
        '[defaults]\nhost = "qmp+unix:///run/{name}"\n'
        '[[launch]]\nname = "a"\nguest = "unpinned"\n'
        '[[launch]]\nname = "b"\nguest = "weak"\nwait = -1\n'
        '[[launch]]\nname = "c"\nguest = "pending"\n'
        '[[launch]]\nname = "d"\nguest = "secret"\n'
        '[[launch]]\nname = "e"\nguest = "broken"\n'
        '[[launch]]\nname = "f"\nguest = "nobody"\n'
        '[[launch]]\nname = "g"\nguest = "web"\ncertificates = "none.cert"\n'
        '[[launch]]\nname = "h"\nguest = "web"\ncertificates = ["odd.cert"]\n'
        '[[launch]]\nname = "i"\nguest = "web"\nhost = "qmp+unix:///run/a"\n'
        '[[launch]]\nname = "a"\nguest = "web"\nhost = "http://host/"\n'
        '[[launch]]\nname = "j"\n'
        '[[launch]]\nname = "k"\nguest = "web"\nprofile = {policy = 1}\n'
        '[[launch]]\nname = "l"\nguest = "web"\nhost = "exchange:///x"\nstart = ["./go"]\n',
        entries=["db/disk"],
    )
    expected = {
        ("launch.0.guest", 5): "on chips that were named",
        ("launch.1.guest", 8): "can't be waived",
        ("launch.1.wait", 9): "whole number",
        ("launch.2.guest", 12): "Not approved yet",
        ("launch.3.guest", 15): "“web/disk”",
        ("launch.4.guest", 18): "line 2, policy",
        ("launch.5.guest", 21): "no guest profile “nobody”",
        ("launch.6.certificates", 25): "none.cert can't be read",
        ("launch.7.certificates", 29): "odd.cert",
        ("launch.8.host", 33): "“a” is launched at qmp+unix:///run/a too",
        ("launch.9.name", 35): "launch[0] has this name too",
        ("launch.9.host", 37): "http",
        ("launch.10", 38): "It is missing",
        ("launch.11", 40): "there are both",
        ("launch.12.start", 48): "carried by hand",
    }
    assert {place: expected[place] in words for place, words in found.items()} == dict.fromkeys(
        expected, True
    )


def test_problems_of_a_profile_in_the_manifest_have_its_own_lines(fleet):
    found = fleet.problems(
        '[[launch]]\nname = "a"\nhost = "qmp+unix:///run/a"\n'
        '[launch.profile]\ntechnology = "sev"\npolicy = "default"\nvcpus = "9-1"\n'
        'cpu = "EPYC"\nfirmwaer = "/x"\n'
        "[launch.profile.secrets]\n"
        'disk-passphrase = "correct horse"\n'
    )
    assert set(found) == {
        ("launch.0.profile.firmware", 4),
        ("launch.0.profile.technology", 5),
        ("launch.0.profile.vcpus", 7),
        ("launch.0.profile.firmwaer", 9),
        ("launch.0.profile.secrets.disk-passphrase", 11),
    }
    assert "correct horse" not in str(found)


def test_a_profile_in_the_manifest_is_told_how_to_be_mended_there(fleet):
    found = fleet.problems(
        '[[launch]]\nname = "a"\nhost = "qmp+unix:///run/a"\n'
        '[launch.profile]\ntechnology = "sev-es"\npolicy = "default"\nvcpus = 2\n'
        f'cpu = "EPYC"\nfirmware = "{fleet.firmware}"\n'
    )
    [said] = found.values()
    assert "write its sha256 and the time (approved) beside its path" in said
    assert "write their CEKs' fingerprints into it" in said
    assert "guest edit" not in said


def test_a_changed_or_unreadable_firmware_is_a_problem(fleet):
    text = launches("a")
    fleet.firmware.write_bytes(fleet.firmware.read_bytes()[:-1] + b"x")
    assert "is not what you approved" in fleet.problems(text)["launch.0.guest", 4]
    fleet.firmware.unlink()
    assert "can't be looked at" in fleet.problems(text)["launch.0.guest", 4]


@pytest.mark.parametrize(
    ("pinned", "firmware"), [(True, True), (False, True), (True, False), (False, False)]
)
def test_what_a_batch_does_not_allow_is_refused_and_what_is_wrong_is_bad_input(
    fleet, pinned, firmware
):
    fleet.profile("vm", ceks=[CEK] if pinned else [])
    if not firmware:
        fleet.firmware.unlink()
    text = launches("a", guest="vm")
    if pinned and firmware:
        assert len(fleet.check(text).launches) == 1
        return
    with pytest.raises(ManifestInvalid if not firmware else ManifestRefused) as caught:
        fleet.check(text)
    assert int(caught.value.exit_status) == (3 if firmware else 6)
    assert caught.value.details["problems"][0]["line"] == 4
    assert "Nothing was started" in caught.value.remedy


def test_missing_vault_entries_are_told_where_the_vault_is_known(fleet):
    fleet.profile("db", secrets={"disk-passphrase": "db/disk"})
    text = launches("a", guest="db")
    assert fleet.check(text, entries=None).launches
    assert fleet.check(text, entries=["db/disk"]).launches
    assert "`watchword vault add`" in fleet.problems(text, entries=[])["launch.0.guest", 4]


def test_a_profile_that_many_launches_share_is_looked_at_once(fleet, monkeypatch):
    from watchword.core.batch import checking

    seen = []
    real = checking.look_at_guest
    monkeypatch.setattr(
        checking, "look_at_guest", lambda *a, **k: seen.append(a[0].name) or real(*a, **k)
    )
    assert len(fleet.check(launches(*(f"n{i}" for i in range(50)))).launches) == 50
    assert seen == ["web"]


def test_what_is_wrong_with_the_defaults_is_told_once(fleet):
    text = '[defaults]\ncertificates = "none.cert"\nhost = "http://host/"\n' + "".join(
        f'[[launch]]\nname = "n{i}"\nguest = "web"\n' for i in range(20)
    )
    with pytest.raises(ManifestInvalid) as caught:
        fleet.check(text)
    assert [one.line for one in caught.value.problems] == [2, 3]


def test_of_very_many_problems_the_first_are_told_and_all_are_counted(fleet):
    fleet.profile("unpinned", ceks=[])
    with pytest.raises(ManifestRefused) as caught:
        fleet.check(launches(*(f"n{i}" for i in range(1200)), guest="unpinned"))
    assert (len(caught.value.problems), caught.value.details["count"]) == (1000, 1200)
    assert "There are 1200 problems" in caught.value.message


def test_what_is_merely_weak_is_told_and_launched(fleet):
    # No ES: allowed, with a loud word.
    fleet.profile("plain", technology="sev", policy="0x1100002b", vcpus=None, cpu=None)
    found = fleet.check(launches("a", "b", guest="plain"))
    assert len(found.launches) == 2
    weak = [one for one in found.warnings if "plain" in one]
    (way,) = [one for one in found.warnings if one not in weak]
    assert weak
    assert way == f"launch a and 1 other: {LOCAL_WARNING}"


def test_ways_to_hosts_that_had_better_be_known_are_told_once_each(fleet):
    fleet.profile("vm")
    text = "".join(
        f'[[launch]]\nname = "n{number}"\nguest = "vm"\nhost = "{url}"\n'
        for number, url in enumerate(
            (
                "qmp+tcp://198.51.100.1:1",
                "qmp+tcp://198.51.100.2:1",
                "qmp+tcp://198.51.100.3:1",
                "qmp+unix:///run/x",
                "qmp+ssh://vm.example/x",
            )
        )
    )
    warnings = [one for one in fleet.check(text).warnings if one.startswith("launch ")]
    assert warnings == [
        f"launch n0 and 2 others: {NOT_ENCRYPTED}",
        f"launch n3: {LOCAL_WARNING}",
    ]


def test_names_with_markup_are_refused_and_never_shown_as_they_are(fleet):
    found = fleet.problems(
        '[[launch]]\nname = "\\u001b[31m<b>"\nguest = "web"\nhost = "qmp+unix:///run/a"\n'
        '"\\u001b]0;x\\u0007" = 1\n'
    )
    assert ("launch.0.name", 2) in found
    with pytest.raises(ManifestInvalid) as caught:
        fleet.check('[[launch]]\n"\\u001b]0;x\\u0007" = 1\n')
    assert caught.value.message.isprintable()
