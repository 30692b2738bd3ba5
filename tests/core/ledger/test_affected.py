# SPDX-License-Identifier: Apache-2.0
"""Which launches and secrets a later finding concerns, and which of them got nothing."""

from __future__ import annotations

import pytest

from watchword.core.ledger.affected import affected
from watchword.core.ledger.entries import EntryKind

from .support import CEK, FIRMWARE, body, secret


def names(launches):
    return [launch.launch_id for launch in launches]


def lists(answer):
    return {
        name: names(getattr(answer, name))
        for name in ("given", "refused", "without_secret", "undecided")
        if getattr(answer, name)
    }


def launch(ledger, launch_id, *kinds, simulated=False, **changes):
    for kind in kinds:
        ledger.append(EntryKind(kind), launch_id, body(**changes), simulated=simulated)


def test_launches_are_sorted_by_what_they_were_given(ledger):
    launch(ledger, "ran", "launch-prepared", "packet-sealed", "secret-handed-over")
    launch(ledger, "sealed", "launch-prepared", "packet-sealed")
    launch(ledger, "refused", "launch-prepared", "launch-refused")
    launch(ledger, "bad-platform", "platform-refused")
    launch(ledger, "waiting", "launch-prepared", "measurement-verified")
    launch(ledger, "gone", "launch-prepared", "launch-abandoned")
    launch(ledger, "elsewhere", "launch-prepared", "packet-sealed", cek_sha256="c1" * 32)
    assert lists(affected(ledger, cek=CEK)) == {
        "given": ["ran", "sealed"],
        "refused": ["refused", "bad-platform"],
        "without_secret": ["waiting", "gone"],
    }


@pytest.mark.parametrize(
    "kind",
    ["packet-sealed", "secret-handed-over", "handed-over-not-confirmed", "launch-running"],
)
def test_a_secret_counts_as_given_from_the_sealing_on(ledger, kind):
    launch(ledger, "a", "launch-prepared", kind)
    (found,) = affected(ledger, cek=CEK).given
    assert [given.as_json() for given in found.secrets] == [secret()]


@pytest.mark.parametrize(
    "kind",
    ["launch-prepared", "measurement-verified", "launch-refused", "launch-abandoned"],
)
def test_a_secret_that_was_only_planned_does_not_count(ledger, kind):
    launch(ledger, "a", kind)
    answer = affected(ledger, cek=CEK)
    assert answer.given == ()
    (found,) = answer.refused + answer.without_secret
    assert found.secrets == ()


def test_a_guest_that_runs_without_any_secret_was_given_none(ledger):
    launch(ledger, "a", "launch-running", "report-verified", "guest-stopped", secrets=[])
    assert lists(affected(ledger, cek=CEK)) == {"without_secret": ["a"]}


def test_a_refusal_after_the_sealing_takes_nothing_back(ledger):
    launch(ledger, "a", "packet-sealed", "launch-refused")
    (found,) = affected(ledger, cek=CEK).given
    assert found.refused
    assert found.secrets


def test_each_secret_is_named_once_however_many_entries_name_it(ledger):
    two = [secret(), secret("token", "vm1/token", test=True)]
    launch(ledger, "a", "packet-sealed", "secret-handed-over", secrets=two)
    launch(ledger, "a", "launch-running", secrets=two[:1])
    (found,) = affected(ledger, cek=CEK).given
    assert [given.as_json() for given in found.secrets] == two


def test_a_packet_without_names_counts_all_the_same(ledger):
    launch(ledger, "a", "packet-sealed", secrets=None)
    (found,) = affected(ledger, cek=CEK).given
    assert found.secrets == ()


def test_what_is_asked_for_may_stand_in_any_entry_of_the_launch(ledger):
    launch(ledger, "a", "launch-prepared", build=None)
    launch(ledger, "a", "measurement-verified", cek_sha256=None, generation=None)
    launch(ledger, "a", "packet-sealed", cek_sha256=None, build=None, firmware_sha256=None)
    for words in (
        {"cek": CEK},
        {"generation": "Milan"},
        {"firmware": FIRMWARE},
        {"build": "1.49.3"},
        {"advisory": "root seed"},
        {"cek": CEK, "build": "<=1.49.3"},
    ):
        assert lists(affected(ledger, **words)) == {"given": ["a"]}
    assert lists(affected(ledger, build="1.49.4")) == {}


def test_of_several_approved_firmwares_the_one_that_was_measured_counts(ledger):
    other = "f2" * 32
    both = [FIRMWARE, other]
    launch(ledger, "measured", "launch-prepared", firmware_sha256=both)
    launch(ledger, "measured", "packet-sealed")
    launch(ledger, "measured", "guest-stopped", firmware_sha256=both)
    launch(ledger, "refused", "launch-refused", firmware_sha256=both)
    assert lists(affected(ledger, firmware=other)) == {"refused": ["refused"]}
    assert lists(affected(ledger, firmware=FIRMWARE)) == {
        "given": ["measured"],
        "refused": ["refused"],
    }


def test_what_one_entry_tells_another_need_not_repeat(ledger):
    launch(ledger, "a", "packet-sealed", "launch-refused")
    ledger.append(EntryKind.LAUNCH_ABANDONED, "a", {})
    (found,) = affected(ledger, cek=CEK).given
    assert (found.guest, found.host, found.refused) == ("vm1", "qmp+unix:///run/vm1.sock", True)


def test_launches_that_do_not_say_it_are_not_passed_over_if_they_were_given_something(ledger):
    launch(ledger, "silent", "packet-sealed", cek_sha256=None)
    launch(ledger, "nothing", "launch-prepared", cek_sha256=None)
    assert lists(affected(ledger, cek=CEK)) == {"undecided": ["silent"]}


CLAIMED = {"api_major": None, "api_minor": None, "build": None} | {
    "claimed_api_major": 1,
    "claimed_api_minor": 49,
    "claimed_build": 3,
}


def test_what_only_a_host_claims_decides_nothing(ledger):
    launch(ledger, "given", "packet-sealed", **CLAIMED)
    launch(ledger, "refused", "launch-refused", **CLAIMED)
    launch(ledger, "known", "packet-sealed")
    launch(ledger, "known", "launch-refused", **(CLAIMED | {"claimed_build": 99}))
    for build in ("1.49.3", "<1.50.0"):
        assert lists(affected(ledger, build=build)) == {
            "given": ["known"],
            "undecided": ["given", "refused"],
        }
    # Of what a host claims to be harmless nothing is left out that was given a secret.
    assert lists(affected(ledger, build="1.49.99")) == {"undecided": ["given"]}


@pytest.mark.parametrize(
    "changes",
    [
        {"cek_sha256": [CEK], "generation": 7, "firmware_sha256": FIRMWARE, "build": "3"},
        {"cek_sha256": "?", "generation": ["milan"], "firmware_sha256": [7], "build": True},
        {"cek_sha256": False, "generation": {}, "firmware_sha256": {}, "api_minor": 256},
    ],
    ids=str,
)
def test_what_is_of_another_type_says_nothing(ledger, changes):
    launch(ledger, "odd", "packet-sealed", secrets=[7, {"name": 1, "size": True}], **changes)
    for words in ({"cek": CEK}, {"generation": "milan"}, {"firmware": FIRMWARE}, {"build": "3"}):
        (found,) = affected(ledger, **words).undecided
        (given,) = found.secrets
        assert set(given.as_json().values()) == {None, False}


def test_exported_keys_and_simulated_platforms_are_marked(ledger):
    launch(ledger, "a", "packet-sealed", simulated=True)
    launch(ledger, "b", "packet-sealed", "keys-exported")
    ledger.append(EntryKind.KEYS_EXPORTED, None, body())
    answer = affected(ledger, cek=CEK)
    assert [(each.launch_id, each.simulated, each.keys_exported) for each in answer.given] == [
        ("a", True, False),
        ("b", False, True),
    ]
    (alone,) = answer.without_secret
    assert (alone.launch_id, alone.keys_exported) == (None, True)


def test_a_launch_is_told_with_its_times_and_its_last_entry(ledger):
    launch(ledger, "a", "launch-prepared", "packet-sealed", "launch-running")
    assert affected(ledger, cek=CEK).given[0].as_json() == {
        "launch": "a",
        "guest": "vm1",
        "host": "qmp+unix:///run/vm1.sock",
        "simulated": False,
        "begun": "2026-11-23T14:02:00Z",
        "last": "2026-11-23T14:04:00Z",
        "last_entry": "launch-running",
        "sequence": 4,
        "secrets": [secret()],
        "refused": False,
        "keys_exported": False,
    }


def test_no_records_are_an_empty_answer():
    answer = affected(None, cek=CEK)
    assert lists(answer) == {}
    assert answer.fault is None


def test_a_damaged_ledger_is_searched_as_far_as_it_can_be_read_and_called_damaged(forger):
    rows = forger.rows
    assert b'"n":"two"' in rows[2][1]
    with forger.attempt():
        forger.change_record(4, rows[3][1] + b" ")
        answer = affected(forger.ledger, cek=CEK)
    assert names(answer.undecided) == ["a"]
    assert answer.fault.code == "ledger-broken"
    assert answer.fault.details["sequence"] == 4


def image(ledger, kind, entry="web1/disk", volume="5fd3"):
    body = {"luks_uuid": volume, "path": f"/images/{volume}.img", "entry": entry}
    ledger.append(EntryKind(kind), None, body)


def images(answer):
    return [(found.luks_uuid, found.replaced) for found in answer.images]


def test_images_whose_key_was_given_away_are_named_until_it_is_replaced(ledger):
    given = secret(entry="web1/disk")
    image(ledger, "image-built")
    image(ledger, "image-built", entry="other", volume="77aa")
    assert images(affected(ledger, cek=CEK)) == []
    launch(ledger, "a", "launch-prepared", "packet-sealed", secrets=[given])
    assert images(affected(ledger, cek=CEK)) == [("5fd3", False)]
    image(ledger, "image-rekeyed")
    assert images(affected(ledger, cek=CEK)) == [("5fd3", True)]
    launch(ledger, "b", "launch-prepared", "packet-sealed", secrets=[given])
    assert images(affected(ledger, cek=CEK)) == [("5fd3", False)]


def test_launches_and_images_are_found_by_the_entry(ledger):
    given = secret(entry="web1/disk")
    launch(ledger, "a", "launch-prepared", "packet-sealed", secrets=[given])
    launch(ledger, "b", "launch-prepared", "packet-sealed", secrets=[secret(entry="web2/disk")])
    image(ledger, "image-built")
    answer = affected(ledger, entry="web1/disk")
    assert lists(answer) == {"given": ["a"]}
    assert images(answer) == [("5fd3", False)]
    image(ledger, "image-built", entry="spare", volume="77aa")
    assert images(affected(ledger, entry="spare")) == [("77aa", False)]
