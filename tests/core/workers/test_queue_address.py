# SPDX-License-Identifier: Apache-2.0
"""The queue's address: no password in it, and nothing but TLS that holds on a network."""

from __future__ import annotations

import pytest

from watchword.core.errors import UsageError
from watchword.core.workers.queue_address import queue_parameters


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in ("PGSSLROOTCERT", "PGHOSTADDR", "PGSERVICE", "PGHOST", "PGSSLMODE"):
        monkeypatch.delenv(name, raising=False)


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


@pytest.mark.parametrize(
    "variable",
    [("PGHOSTADDR", "203.0.113.5"), ("PGHOSTADDR", "127.0.0.1,203.0.113.5"), ("PGSERVICE", "x")],
)
@pytest.mark.parametrize(
    "url", ["postgresql:///x?host=/run/postgresql", "postgresql://localhost/x"]
)
def test_what_the_environment_may_lead_elsewhere_is_verified(monkeypatch, url, variable):
    monkeypatch.setenv(*variable)
    assert queue_parameters(url)["sslmode"] == "verify-full"
    assert refused(f"{url.split('?')[0]}?sslmode=prefer").code == "queue-without-tls"


def test_what_the_address_says_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGHOSTADDR", "203.0.113.5")
    assert "sslmode" not in queue_parameters("postgresql://localhost/x?hostaddr=127.0.0.1")
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    assert "sslmode" not in queue_parameters("postgresql://localhost/x")
    monkeypatch.setenv("PGSSLMODE", "disable")
    assert queue_parameters("postgresql://db.example/x")["sslmode"] == "verify-full"


def test_a_service_of_the_environment_brings_its_own_authorities(monkeypatch):
    monkeypatch.setenv("PGSERVICE", "queue")
    assert "sslrootcert" not in queue_parameters("postgresql://db.example/x")


def test_libpq_goes_where_the_environment_says_unless_the_address_does(monkeypatch, tmp_path):
    """What this module takes for granted of libpq, asked of it."""
    psycopg = pytest.importorskip("psycopg")
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    text = f"host={tmp_path} port=1 dbname=x connect_timeout=2"

    def fault(text):
        with pytest.raises(psycopg.OperationalError) as caught:
            psycopg.connect(text)
        return str(caught.value)

    assert "127.0.0.1" in fault(text)
    monkeypatch.delenv("PGHOSTADDR")
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    assert "127.0.0.1" not in fault(text)


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
        "postgresql://db%2Cother/x",
        "postgresql://%2Frun%2Fx%2Cdb.example/x",
        "postgresql:///x?host=/run/x,db.example",
        "postgresql:///x?host=/run/x%2Cdb.example",
        "postgresql:///x?hostaddr=127.0.0.1,203.0.113.5",
        "postgresql:///x?host=/run/x&port=5432,5433",
        "postgresql:///x?host=/run/x%00",
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
