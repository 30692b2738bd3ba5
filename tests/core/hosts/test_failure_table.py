# SPDX-License-Identifier: Apache-2.0
"""Which test shows what each trouble of each transport leaves of a launch; none may lack one.

A trouble is shown by an error that a person can act on, with the launch as it was, and taken
on afterwards. Where a transport can't have a trouble the table says why.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
TROUBLES = (
    "unreachable",
    "wrong name or key",
    "authentication refused",
    "drops in mid-command",
    "stalls",
    "second client",
    "rebooted between the halves",
)
NO_LOGIN = "- the transport knows no login: whoever reaches it rules the VM"
MANY = "- a libvirt daemon serves many clients; of a domain that others hold: "
API = "- a cluster's API serves many clients, and setup-session is taken once: "

_PLAIN = "core/launch/test_plain_transports.py"
_OVER = "core/launch/test_over_transports.py"
_LIBVIRT = "interop/test_real_libvirt_troubles.py"
_DOMAIN = "interop/test_real_libvirt.py"
_CLUSTER = "core/launch/test_over_kubevirt.py"
_HAND = "core/launch/test_exchange_troubles.py"

_BARE = {
    "unreachable": f"{_PLAIN}::test_a_host_that_is_down_costs_nothing",
    "wrong name or key": f"{_PLAIN}::test_a_wrong_name_costs_nothing",
    "drops in mid-command": f"{_PLAIN}::test_a_connection_that_drops_in_mid_injection_is_taken_up"
    "_with_the_same_packet",
    "stalls": f"{_PLAIN}::test_a_stall_ends_within_its_limit_and_is_taken_up",
    "second client": f"{_PLAIN}::test_another_client_at_the_monitor_is_named_and_waited_out",
    "rebooted between the halves": f"{_PLAIN}::test_a_host_that_was_rebooted_takes_the_launch_on"
    "_where_its_vm_comes_back",
}
_NETWORK = {
    "unreachable": f"{_OVER}::test_a_host_that_is_down_costs_nothing",
    "wrong name or key": f"{_OVER}::test_the_wrong_key_on_either_side_costs_nothing",
    "authentication refused": f"{_OVER}::test_the_wrong_key_on_either_side_costs_nothing",
    "drops in mid-command": f"{_OVER}::test_a_connection_that_drops_in_mid_injection_is_taken_up"
    "_with_the_same_packet",
    "stalls": f"{_OVER}::test_a_stall_ends_within_its_limit_and_is_taken_up",
    "second client": f"{_OVER}::test_another_client_at_the_monitor_is_named_and_waited_out",
    "rebooted between the halves": f"{_OVER}::test_a_host_that_was_rebooted_takes_the_launch_on"
    "_where_its_vm_comes_back",
}
_DAEMON = {
    "unreachable": f"{_LIBVIRT}::test_a_host_that_is_rebooted_between_the_halves_loses_nothing",
    "wrong name or key": f"{_LIBVIRT}::test_a_name_that_libvirt_does_not_know_costs_nothing",
    "drops in mid-command": f"{_LIBVIRT}::test_a_connection_that_drops_while_the_packet_is_on"
    "_its_way",
    "stalls": f"{_LIBVIRT}::test_a_daemon_that_stalls_is_given_up_and_the_launch_goes_on_later",
    "second client": f"{MANY}{_DOMAIN}::test_a_domain_that_others_started_is_left_alone",
    "rebooted between the halves": f"{_LIBVIRT}::test_a_host_that_is_rebooted_between_the_halves"
    "_loses_nothing",
}
_WORDS = "core/hosts/test_libvirt_words.py::test_each_reason_not_to_get_in_has_a_name_and_a_remedy"
_SOCKET = {**_DAEMON, "authentication refused": _WORDS}

TABLE = {
    "unix": {
        **_BARE,
        "authentication refused": "core/hosts/test_reaching.py"
        "::test_a_socket_that_may_not_be_opened",
    },
    "tcp": {**_BARE, "authentication refused": NO_LOGIN},
    "ssh": _NETWORK,
    "tls": _NETWORK,
    # One code path: a local URL only leaves out the socket's name. As root a session's daemon
    # is the system's, which tests leave alone.
    "libvirt, local": {**_SOCKET, "wrong name or key": f"{_DOMAIN}::test_nobody_at_the_socket"},
    "libvirt, unix": _SOCKET,
    "libvirt, ssh": {
        **_DAEMON,
        "authentication refused": f"{_LIBVIRT}::test_another_host_key_and_a_key_that_is_not_known"
        "_cost_nothing",
    },
    "libvirt, tls": {
        **_DAEMON,
        "authentication refused": f"{_LIBVIRT}::test_another_ca_and_a_certificate_that_is_not"
        "_known_cost_nothing",
    },
    "kubevirt": {
        "unreachable": f"{_CLUSTER}::test_a_cluster_that_lets_nobody_in_costs_nothing_and_is"
        "_quoted",
        "wrong name or key": f"{_CLUSTER}::test_a_name_that_the_cluster_does_not_know_is_quoted",
        "authentication refused": f"{_CLUSTER}::test_a_cluster_that_lets_nobody_in_costs_nothing"
        "_and_is_quoted",
        "drops in mid-command": f"{_CLUSTER}::test_a_connection_that_drops_while_the_packet_is_on"
        "_its_way",
        "stalls": f"{_CLUSTER}::test_a_cluster_that_stalls_is_given_up_and_taken_up",
        "second client": f"{API}{_CLUSTER}::test_a_whole_launch_ends_on_the_clusters_word",
        "rebooted between the halves": f"{_CLUSTER}::test_a_node_that_was_rebooted_takes_the"
        "_launch_on_where_its_vm_waits_again",
    },
    "exchange": {
        "unreachable": f"{_HAND}::test_a_stick_that_is_not_in_is_waited_for",
        "wrong name or key": f"{_HAND}::test_another_launchs_stick_is_named",
        "authentication refused": f"{_HAND}::test_a_folder_in_which_nothing_can_be_read_costs"
        "_nothing",
        "drops in mid-command": f"{_HAND}::test_an_answer_that_was_copied_by_half_is_noticed",
        "stalls": f"{_HAND}::test_an_operator_who_does_not_answer_is_waited_for",
        "second client": f"{_HAND}::test_a_second_launch_finds_the_folder_taken",
        "rebooted between the halves": f"{_HAND}::test_a_host_that_was_rebooted_starts_the_vm_from"
        "_the_same_files",
    },
}


@cache
def names_in(path):
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("transport", TABLE)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_of_each_transport_is_shown_by_a_test(transport, trouble):
    cell = TABLE[transport][trouble]
    if "::" not in cell:
        assert cell == NO_LOGIN
        return
    path, _, name = cell.rpartition(" ")[2].partition("::")
    assert name in names_in(path), cell


def test_every_transport_of_the_documentation_is_in_the_table():
    page = (TESTS.parent / "docs" / "hosts.md").read_text(encoding="utf-8").partition("\n## ")[0]
    schemes = {
        line.split("`")[1].partition(":")[0].removeprefix("qmp+").partition("+")[0]
        for line in page.splitlines()
        if line.startswith("| `") and "://" in line
    }
    assert schemes == {name.partition(",")[0] for name in TABLE}
