# SPDX-License-Identifier: Apache-2.0
"""The policy: what is at hand, then the cache, then the key service; and nothing wrong is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from watchword.core.amd.cek_source import CekSource, Origin
from watchword.core.amd.certificate_cache import CertificateCache
from watchword.core.amd.key_service import PRIVACY_NOTICE
from watchword.core.amd.key_service_errors import KeyServiceError
from watchword.core.errors import BadInput, ExitStatus, HostError, VerificationRefused
from watchword.core.sev.advisories import Advisories
from watchword.core.sev.chain import PlatformCertificates, examine_chain
from watchword.core.sev.chain_files import recognise
from watchword.core.sev.platform import verify_chain

from ..sev.chain_maker import PlatformMaker
from .conftest import CHIP, OTHER_CHIP, PATIENT, SHORT
from .key_server import KeyServer, raw, reply, silence
from .test_key_service import FLAWS


@pytest.fixture
def cache(tmp_path, roots):
    return CertificateCache(tmp_path / "cache", roots)


@pytest.fixture
def told():
    """What people were told."""
    return []


@pytest.fixture
def source(roots, cache, client, told):
    """Makes sources over a server, or offline."""

    def make(server=None, cache=cache, **options):
        service = client(server, **options) if server is not None else None
        return CekSource(roots, cache, service, announce=told.append)

    return make


@pytest.fixture
def from_host(platform, host_cek):
    """What a host hands out: everything but the signature on its CEK."""
    return PlatformCertificates(
        pdh=platform.pdh(), pek=platform.pek(), oca=platform.oca(), cek=host_cek
    )


def files(cache):
    return [path for path in cache.folder.rglob("*") if path.is_file()]


def run(source, *acts, do, **options):
    """Do something with a source over a server that acts like that."""

    async def within():
        async with KeyServer(*acts) as server:
            try:
                outcome = await do(source(server, **options))
            except (HostError, VerificationRefused) as error:
                outcome = error
        return server, outcome

    return asyncio.run(within())


def fetch(chip_id, so_far=None):
    return lambda source: source.find(chip_id, so_far)


def offline(source, chip_id, so_far=None):
    return asyncio.run(source().find(chip_id, so_far))


# -- the order ---------------------------------------------------------------------


def test_a_signed_cek_at_hand_is_enough(source, from_host, cek):
    found = offline(source, CHIP, replace(from_host, cek=cek))
    assert (found.origin, found.data) == (Origin.AT_HAND, cek)
    assert found.as_json()["chip_id"] == CHIP.hex()


def test_a_signed_cek_beside_the_hosts_must_be_of_the_same_key(source, host_cek, cek, other_cek):
    beside = PlatformCertificates(cek=cek, cek_from_host=host_cek)
    assert offline(source, None, beside).origin is Origin.AT_HAND
    with pytest.raises(BadInput, match="neither among the files nor in the cache"):
        offline(source, CHIP, PlatformCertificates(cek=other_cek, cek_from_host=host_cek))


def test_fetched_once_and_then_offline(source, from_host, cek, told, cache):
    server, found = run(source, reply(200, cek), do=fetch(CHIP, from_host))
    assert (found.origin, found.data, found.note) == (Origin.KEY_SERVICE, cek, None)
    assert len(server.visits) == 1
    assert len(told) == 1
    assert told[0].endswith(PRIVACY_NOTICE.removeprefix("AMD's key service"))
    # Now by chip and key, by key alone, and by chip alone.
    for chip_id, so_far in ((CHIP, from_host), (None, from_host), (CHIP, None)):
        again = offline(source, chip_id, so_far)
        assert (again.origin, again.data) == (Origin.CACHE, cek)
    assert run(source, reply(500), do=fetch(CHIP, from_host))[0].visits == []


def test_without_a_cache_each_time_is_the_first(source, from_host, cek, cache):
    async def twice(source):
        await source.find(CHIP, from_host)
        return await source.find(CHIP, from_host)

    server, found = run(source, reply(200, cek), do=twice, cache=None)
    assert (found.origin, len(server.visits)) == (Origin.KEY_SERVICE, 2)


def test_a_damaged_entry_is_fetched_again(source, from_host, cek, cache):
    run(source, reply(200, cek), do=fetch(CHIP, from_host))
    kept = next((cache.folder / "certificates").iterdir())
    kept.write_bytes(kept.read_bytes()[:-1])
    server, found = run(source, reply(200, cek), do=fetch(CHIP, from_host))
    assert (found.origin, len(server.visits)) == (Origin.KEY_SERVICE, 1)
    assert offline(source, CHIP, from_host).data == cek


def test_a_cached_cek_of_another_key_is_not_the_answer_to_a_host(
    source, from_host, cek, other_cek, cache
):
    # Asked without a host's CEK, a service's mix-up can't be told.
    run(source, reply(200, other_cek), do=fetch(CHIP))
    assert offline(source, CHIP).data == other_cek
    server, found = run(source, reply(200, cek), do=fetch(CHIP, from_host))
    assert (found.data, len(server.visits)) == (cek, 1)
    assert offline(source, CHIP).data == cek


def test_a_lying_host_can_not_push_a_good_entry_out(source, from_host, cek, other_cek):
    run(source, reply(200, cek), do=fetch(CHIP, from_host))
    lie = PlatformCertificates(cek=other_cek[:0x414] + from_host.cek[0x414:])
    _, error = run(source, reply(200, cek), do=fetch(CHIP, lie))
    assert error.details["flaw"] == "other-key"
    assert offline(source, CHIP).data == cek


def test_offline_with_nothing_at_hand_says_the_ways_out(source, from_host):
    with pytest.raises(BadInput) as failure:
        offline(source, CHIP, from_host)
    error = failure.value
    assert (error.code, error.exit_status) == ("cek-not-at-hand", ExitStatus.BAD_INPUT)
    assert "--cek" in error.remedy


@pytest.mark.parametrize("chip_id", [None, bytes(64), b"short"])
def test_without_a_chip_id_nobody_is_asked(source, from_host, cek, chip_id, told):
    server, error = run(source, reply(200, cek), do=fetch(chip_id, from_host))
    assert (error.code, server.visits, told) == ("chip-id-missing", [], [])
    assert "sevctl show identifier" in error.remedy


def test_the_chip_id_may_come_with_the_certificates(source, from_host, cek):
    so_far = replace(from_host, chip_id=OTHER_CHIP)
    server, found = run(source, reply(200, cek), do=fetch(None, so_far))
    assert server.paths == [f"/cek/id/{OTHER_CHIP.hex()}"]
    assert found.chip_id == OTHER_CHIP


def test_a_cache_that_can_not_be_written_is_no_reason_to_fail(source, from_host, cek, cache):
    cache.folder.parent.joinpath("cache").touch()
    _, found = run(source, reply(200, cek), do=fetch(CHIP, from_host))
    assert found.data == cek
    assert "could not be kept" in found.note


# -- what is wrong is never kept ---------------------------------------------------


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_wrong_answer_is_never_kept(source, from_host, wrong_bodies, flaw, cache):
    _, error = run(source, reply(200, wrong_bodies[flaw]), do=fetch(CHIP, from_host))
    # Another key than the host's is the host's doing, all else the service's.
    code = "foreign-cek" if flaw == "other-key" else "key-service-wrong-answer"
    assert (error.code, error.details["flaw"]) == (code, flaw)
    assert files(cache) == []
    with pytest.raises(BadInput):
        offline(source, CHIP, from_host)


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (reply(302, Location="https://elsewhere.example/"), "key-service-wrong-answer"),
        (reply(404), "key-service-unknown-chip"),
        (reply(429), "key-service-busy"),
        (reply(500), "key-service-failed"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2084\r\n\r\n\1"), "key-service-wrong-answer"),
        (raw(b"nonsense"), "key-service-wrong-answer"),
        (silence, "key-service-stalled"),
    ],
)
def test_no_failure_leaves_anything_in_the_cache(source, act, code, cache):
    limits = SHORT if act is silence else PATIENT
    _, error = run(source, act, do=fetch(CHIP), limits=limits)
    assert error.code == code
    assert files(cache) == []


def test_a_good_certificate_under_a_bad_status_is_not_taken(source, from_host, cek, cache):
    for status in (206, 302, 404, 500):
        _, error = run(source, reply(status, cek), do=fetch(CHIP, from_host))
        assert isinstance(error, KeyServiceError)
    assert files(cache) == []


# -- at the same time --------------------------------------------------------------


def test_two_fetches_of_one_chip_are_one_request(source, from_host, cek, told):
    def both(source):
        return asyncio.gather(*(source.find(CHIP, from_host) for _ in range(5)))

    server, found = run(source, reply(200, cek), do=both)
    assert [one.data for one in found] == [cek] * 5
    assert (len(server.visits), len(told)) == (1, 1)


def test_two_fetches_share_a_failure(source, from_host):
    def both(source):
        finds = (source.find(CHIP, from_host) for _ in range(2))
        return asyncio.gather(*finds, return_exceptions=True)

    server, errors = run(source, reply(404), do=both)
    assert [error.code for error in errors] == ["key-service-unknown-chip"] * 2
    assert len(server.visits) == 1


def test_two_chips_are_two_requests(source, cek):
    def both(source):
        return asyncio.gather(source.find(CHIP), source.find(OTHER_CHIP))

    assert len(run(source, reply(200, cek), do=both)[0].visits) == 2


def test_hosts_that_claim_one_chip_with_different_keys_are_judged_each(source, from_host, cek):
    lie = replace(from_host, cek=PlatformMaker(None, chip="chip 3").cek(signed=False))

    def both(source):
        finds = (source.find(CHIP, so_far) for so_far in (from_host, lie))
        return asyncio.gather(*finds, return_exceptions=True)

    _, (found, error) = run(source, reply(200, cek), do=both)
    assert found.data == cek
    assert error.details["flaw"] == "other-key"


def test_cancelling_the_last_waiter_closes_the_socket(source, from_host, cache):
    async def within():
        async with KeyServer(silence) as server:
            finder = source(server)
            tasks = [asyncio.create_task(finder.find(CHIP, from_host)) for _ in range(2)]
            await server.arrived.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.wait_for(server.visits[0].gone.wait(), 10)
            return [task.cancelled() for task in tasks]

    assert asyncio.run(within()) == [True, True]
    assert files(cache) == []


# -- in a launch -------------------------------------------------------------------


def more(source, chip_id, so_far):
    async def do(source):
        return await source.more_certificates(chip_id, so_far)

    return do


def test_a_launch_gets_the_copy_that_makes_its_chain_whole(source, from_host, cek, roots):
    assert not examine_chain(from_host, roots).ok
    server, files = run(source, reply(200, cek), do=more(source, CHIP, from_host))
    assert len(server.visits) == 1
    host = [("host", getattr(from_host, role)) for role in ("pdh", "pek", "oca", "cek")]
    certificates = recognise([*host, *files]).certificates
    assert (certificates.cek, certificates.cek_from_host) == (cek, from_host.cek)
    assert verify_chain(certificates, roots, Advisories("2026-11-23", ())).name == "verified"


def test_a_launch_without_any_cek_gets_one_by_chip_id(source, from_host, cek):
    bare = replace(from_host, cek=None)
    assert run(source, reply(200, cek), do=more(source, CHIP, bare))[1] == (
        ("the key service's CEK", cek),
    )


@pytest.mark.parametrize("kind", ["good", "forged", "damaged", "no cek, no id"])
def test_nothing_is_asked_where_the_chain_is_to_be_judged_as_it_is(
    source, from_host, cek, forger, kind, told
):
    ceks = {"good": cek, "forged": PlatformMaker(forger).cek(), "damaged": bytes(2084)}
    so_far = replace(from_host, cek=ceks.get(kind))
    chip = None if kind == "no cek, no id" else CHIP
    server, files = run(source, reply(200, cek), do=more(source, chip, so_far))
    assert (server.visits, files, told) == ([], (), [])


@pytest.mark.parametrize("role", ["ask", "ark"])
def test_amd_learns_nothing_of_chips_under_other_roots(source, from_host, cek, forger, role):
    for data in (getattr(forger, role), b"damaged"):
        so_far = replace(from_host, **{role: data})
        server, files = run(source, reply(200, cek), do=more(source, CHIP, so_far))
        assert (server.visits, files) == ([], ())


def test_a_full_chain_with_amds_own_ask_and_ark_may_be_asked_about(
    source, from_host, cek, authority
):
    so_far = replace(from_host, ask=authority.ask, ark=authority.ark)
    assert len(run(source, reply(200, cek), do=more(source, CHIP, so_far))[1]) == 1


def test_offline_a_launch_takes_what_is_cached_and_else_goes_on(source, from_host, cek):
    assert asyncio.run(source().more_certificates(CHIP, from_host)) == ()
    run(source, reply(200, cek), do=more(source, CHIP, from_host))
    expected = (("the cached copy of AMD's CEK", cek),)
    assert asyncio.run(source().more_certificates(CHIP, from_host)) == expected
    assert asyncio.run(source().more_certificates(None, from_host)) == expected


def test_a_launch_whose_host_tells_no_chip_id_says_what_to_do(source, from_host, cek):
    error = run(source, reply(200, cek), do=more(source, None, from_host))[1]
    assert error.code == "chip-id-missing"


def test_a_launch_is_not_given_the_cek_of_another_key(source, from_host, other_cek):
    error = run(source, reply(200, other_cek), do=more(source, CHIP, from_host))[1]
    assert (error.code, error.details["flaw"]) == ("foreign-cek", "other-key")
    assert error.exit_status is ExitStatus.REFUSED
    assert "Send no secret to this host" in error.remedy
