# SPDX-License-Identifier: Apache-2.0
"""The command line that ssh is given: nothing of it can be bent by a URL, and nothing is asked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import HostError, UsageError
from watchword.core.hosts import ssh_command, ssh_errors
from watchword.core.hosts.limits import DEFAULT_LIMITS, HostLimits
from watchword.core.hosts.ssh_url import SshAddress
from watchword.core.hosts.urls import parse_host_url

ADDRESS = SshAddress("host.example", "/run/vm1.sock", "owner", 2222)
SOCKET, CONTROL = Path("/run/user/1/x/qmp"), Path("/run/user/1/x/ctl")


def command(address=ADDRESS, limits=DEFAULT_LIMITS):
    return ssh_command.tunnel_command(address, limits, SOCKET, CONTROL)


def option(words, name):
    found = [word.partition("=")[2] for word in words if word.startswith(f"{name}=")]
    assert len(found) == 1, name
    assert words[words.index(f"{name}={found[0]}") - 1] == "-o"
    return found[0]


def test_nothing_of_the_user_s_is_lent_to_the_host():
    words = command()
    assert {"-a", "-k", "-x", "-T", "-N"} <= set(words)
    assert option(words, "ForwardAgent") == "no"
    assert option(words, "PermitLocalCommand") == "no"


def test_no_kerberos_ticket_is_lent_even_if_the_config_says_so(tmp_path, program):
    config = tmp_path / "config"
    config.write_text("Host *\n GSSAPIAuthentication yes\n GSSAPIDelegateCredentials yes\n")
    words = command()
    ssh = program("ssh", "openssh-client")
    own = words[words.index("-a") :]
    shown = subprocess.run(
        [ssh, "-G", "-F", config, *own], capture_output=True, text=True, check=True
    )
    assert "gssapidelegatecredentials no\n" in shown.stdout


def test_nobody_is_asked_and_no_key_is_accepted_unseen():
    words = command()
    assert option(words, "BatchMode") == "yes"
    assert option(words, "StrictHostKeyChecking") == "yes"
    assert option(words, "UpdateHostKeys") == "no"


def test_a_forward_that_fails_ends_ssh_and_shared_connections_are_not_touched():
    words = command()
    assert option(words, "ExitOnForwardFailure") == "yes"
    assert option(words, "ControlPath") == str(CONTROL)
    assert option(words, "ControlPersist") == "no"
    assert words[words.index("-L") + 1] == f"{SOCKET}:/run/vm1.sock"


def test_the_host_comes_last_after_two_dashes():
    words = command()
    assert words[-2:] == ["--", "host.example"]
    assert words[words.index("-l") + 1] == "owner"
    assert words[words.index("-p") + 1] == "2222"


def test_what_the_url_leaves_out_is_the_config_s_to_say():
    words = command(SshAddress("vmhost", "/x"))
    assert "-l" not in words
    assert "-p" not in words
    assert "-F" not in words


def test_the_time_to_connect_is_told_in_whole_seconds():
    assert option(command(limits=HostLimits(connect_seconds=0.2)), "ConnectTimeout") == "1"


def test_it_is_run_by_its_whole_path_and_dies_with_us():
    words = command()
    assert words[0].endswith("/setpriv")
    assert words[1:4] == ["--pdeathsig", "KILL", "--"]
    assert words[4].endswith("/ssh")


def test_its_environment_has_nothing_that_it_does_not_need(monkeypatch):
    monkeypatch.setenv("WATCHWORD_PASSPHRASE", "hunter2")
    monkeypatch.setenv("SSH_ASKPASS", "/bin/evil")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    found = ssh_command.environment()
    assert found["LC_ALL"] == "C"
    assert found["SSH_AUTH_SOCK"] == "/run/agent"
    assert "hunter2" not in found.values()
    assert "SSH_ASKPASS" not in found


@given(
    st.text(alphabet="ab.-@%$`;|&<>(){}'\"\\ \n:[]=é0"),
    st.text(alphabet="ab.-/%$`;|&<>(){}'\"\\ \n:[]=é~*?#"),
)
def test_whatever_url_is_accepted_its_words_hold_no_shell_and_no_option(authority, path):
    try:
        address = parse_host_url(f"qmp+ssh://{authority}/{path}")
    except UsageError:
        return
    words = command(address)
    assert words[-2] == "--"
    for text in (words[-1], address.user or "", address.path):
        assert not text.startswith("-")
        assert not set(text) & set("$`;|&<>(){}'\"\\ \n%*?#~")
    assert set(address.path) & set(":") == set()


@pytest.mark.parametrize("path", ["/x.sock", "/run/vm,1=a+b@c/q-m_p.sock"])
def test_the_question_is_one_that_a_shell_understands(path, tmp_path):
    words = ssh_command.question_command(SshAddress("h", path), CONTROL)
    done = subprocess.run(["sh", "-c", words[-1]], check=False, capture_output=True)
    assert done.returncode == ssh_command.NOT_THERE
    assert done.stderr == b""


class Ended:
    def __init__(self, said):
        self.said = said
        self.shown = said


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("ssh: connect to host h port 22: No route to host", "host-unreachable"),
        ("ssh: connect to host h port 22: Network is unreachable", "host-unreachable"),
        ("ssh: connect to host h port 22: Connection timed out", "host-connect-timeout"),
        ("Connection timed out during banner exchange", "host-connect-timeout"),
        ("Received disconnect: 2: Too many authentication failures", "ssh-authentication-refused"),
        ("Bad owner or permissions on /root/.ssh/config", "ssh-config-unusable"),
        ("kex_exchange_identification: read: Connection reset by peer", "host-closed-connection"),
        ("Unable to negotiate with 192.0.2.1 port 22: no matching cipher", "ssh-failed"),
        ("", "ssh-failed"),
    ],
)
def test_what_ssh_says_becomes_an_error_of_its_own(said, code):
    error = ssh_errors.ended(ADDRESS, Ended(said))
    assert error.code == code
    assert "{" not in error.message + error.remedy
    assert (f"“{said}”" in error.message) is bool(said)


def test_all_answers_to_the_question_have_words():
    for answer in (*range(70, 78), None, 255, -9):
        error = ssh_errors.refused_there(ADDRESS, answer, Ended("channel 2: open failed"))
        assert isinstance(error, HostError)
        assert "/run/vm1.sock" in error.message
        assert "{" not in error.message + error.remedy
