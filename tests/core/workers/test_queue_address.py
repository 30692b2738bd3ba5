# SPDX-License-Identifier: Apache-2.0
"""The queue's address: no password in it, and nothing but TLS that holds on a network."""

from __future__ import annotations

import pytest

from watchword.core.errors import UsageError
from watchword.core.workers.queue_address import queue_parameters


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)


def refused(url):
    with pytest.raises(UsageError) as caught:
        queue_parameters(url)
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@db/x",
        "postgresql://me:@db/x",
        "postgresql:///x?password=s3cret",
        "postgresql:///x?host=/run&user=me&password=",
    ],
)
def test_a_password_in_it_is_refused_and_never_told(url):
    error = refused(url)
    assert error.code == "password-in-url"
    assert "s3cret" not in str(error.as_json())
    assert ".pgpass" in error.remedy


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///x?host=/run/postgresql",
        "postgres://127.0.0.1:5433/x",
        "postgresql://me@localhost/x",
        "postgresql://[::1]/x",
    ],
)
def test_a_server_on_this_machine_needs_no_tls(url):
    assert "sslmode" not in queue_parameters(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db.example/x",
        "postgresql:///x",  # PGHOST might say anything
        "postgresql:///?service=queue",
        "postgresql://localhost/x?hostaddr=203.0.113.5",
        "postgresql:///x?host=/run/postgresql&service=queue",
        "postgresql://db.example/x?sslmode=verify-full",
    ],
)
def test_whatever_may_be_elsewhere_is_verified(url):
    assert queue_parameters(url)["sslmode"] == "verify-full"


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", ""])
def test_less_than_that_is_refused(mode):
    assert refused(f"postgresql://db.example/x?sslmode={mode}").code == "queue-without-tls"


def test_the_systems_authorities_count_unless_others_are_named(monkeypatch):
    assert queue_parameters("postgresql://db/x")["sslrootcert"] == "system"
    own = queue_parameters("postgresql://db/x?sslrootcert=/etc/ca.pem")
    assert own["sslrootcert"] == "/etc/ca.pem"
    assert "sslrootcert" not in queue_parameters("postgresql:///?service=queue")
    monkeypatch.setenv("PGSSLROOTCERT", "/etc/ca.pem")
    assert "sslrootcert" not in queue_parameters("postgresql://db/x")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://db/x",
        "postgresql://db/x?options=-c%20search_path%3Devil",
        "postgresql://db/x?host=/run",
        "postgresql://db,other/x",
        "postgresql://db:port/x",
        "postgresql://db/x?user",
        "postgresql://db/x#part",
        "postgresql://db/x\n",
        "postgresql://" + "d" * 3000,
        "/run/postgresql",
        "",
    ],
)
def test_what_is_no_address_is_refused(url):
    assert refused(url).code == "bad-queue-url"


def test_encryption_by_a_ticket_does_not_take_the_place_of_tls():
    assert queue_parameters("postgresql://db/x")["gssencmode"] == "disable"
