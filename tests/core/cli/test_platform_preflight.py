# SPDX-License-Identifier: Apache-2.0
"""``platform preflight``: a host is looked over, and the exit status says whether there is hope."""

from __future__ import annotations

WITHOUT_SEV = None


def preflight(command, host, platform, *more):
    # AMD's own would be known; this root and its ASK come with the CEK.
    above = platform.parent / "above.cert"
    above.write_bytes(
        b"".join((platform / f"{n}.cert").read_bytes() for n in ("cek", "ask", "ark"))
    )
    words = ("--cek", above, "--trust-root", platform / "ark.cert", *more)
    return command("platform", "preflight", "--host", host.url, *words)


def test_a_host_is_looked_over_in_words(command, waiting_vm, platform):
    with waiting_vm(WITHOUT_SEV) as host:
        shown = preflight(command, host, platform)
    assert shown.status == 0
    assert "NOT AMD's" in shown.out
    assert "only a launch verifies it" in shown.out


def test_the_findings_come_as_json(command, waiting_vm, platform):
    with waiting_vm(WITHOUT_SEV) as host:
        shown = preflight(command, host, platform, "--json")
    assert shown.status == 0
    assert shown.json["hopeful"] is True
    assert {finding["about"] for finding in shown.json["findings"]} >= {"reach", "chain", "node"}


def test_a_chain_that_does_not_hold_leaves_no_hope(command, waiting_vm):
    with waiting_vm(WITHOUT_SEV) as host:
        shown = command("platform", "preflight", "--host", host.url, "--json")
    assert shown.status == 4
    assert (shown.json["ok"], shown.json["hopeful"]) == (False, False)


def test_a_folder_that_is_carried_by_hand_is_no_host_to_look_over(command, folder):
    shown = command("platform", "preflight", "--host", f"exchange://{folder}", "--json")
    assert (shown.status, shown.code) == (2, "host-not-by-qmp")
    assert list(folder.iterdir()) == []


def test_an_unknown_launch_is_named(command, waiting_vm, folder, monkeypatch):
    monkeypatch.setenv("WATCHWORD_HOME", str(folder / "home"))
    with waiting_vm(WITHOUT_SEV) as host:
        words = ("--launch", "20260101-000000-abcdef")
        shown = command("platform", "preflight", "--host", host.url, *words, "--json")
    assert shown.status in (2, 6)
    assert "launch" in shown.code
