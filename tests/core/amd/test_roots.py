# SPDX-License-Identifier: Apache-2.0
"""AMD's keys that ship: pinned here once more, by the SHA-256 of what their signatures cover."""

from __future__ import annotations

import json

import pytest

from watchword.core.amd import roots
from watchword.core.amd.roots import amd_roots
from watchword.core.errors import BadInput
from watchword.core.sev.chain import PlatformCertificates, examine_chain
from watchword.resources import read_bytes

# SHA-256 of bytes 0 to the end of the modulus, as AMD published the files.
PINS = {
    "naples": (
        "8efddcaaf84990cf6354d93637be270220cf15797332b3d918c3b8cc77349f31",
        "5dff2a2a4dd59dc095d73a26af28be523192ade830bdd35bacdd81ee75584c45",
    ),
    "rome": (
        "ae2456af6c6ad234badd6c75e58915be61568286766083853bf668e6e23977c3",
        "1f668d63e0a7cb120a41bfb1bcefca715564a187305237f058f6e62c3d4ba5b0",
    ),
    "milan": (
        "263b13fd3170c6ffbb0b4f01f09848dc08a8dc1e9637d47e42cbe6c135e4af12",
        "17109261a9951a4018377a0a57a652a6ae24b19c1d2410f1bd216b6681214cbc",
    ),
    "genoa": (
        "973df6265e1b40cf8883305c1f6a6cd254979446acb40bd396946b2f19e751e9",
        "b5bebe3b4ff5092c9a9fa28a5624f5d4c8e8aeb2df847c0391209611802d5866",
    ),
    "turin": (
        "89327696f8082b20f5a588565adc26d478e1c6d56153c1de656e63396b8f8e20",
        "d9a3f28291929d66abea9aa2817201ceb96ba0a8334a89f4ec6058307d36ae99",
    ),
}
KEY_IDS = {
    "naples": ("1bb987c359494606b174945601c9ea5b", "e139970cfc464377ae61b289e2f9e96e"),
    "rome": ("e6002122fb58419399d15fee7b131351", "c6cbcf145b3146f498e40ecb4ad4fded"),
    "milan": ("94c38e4177d0479292a7ae671d083fb6", "73478c05cc174bfeb06e718fa75dc3c8"),
    "genoa": ("9f9d4a8fe761456599f6946c4c010f3a", "acbb4ad21acc436fb3e932f812cd01b0"),
    "turin": ("d05c3a8bde484904b49552422ceb3942", "15051693f7304d65a527b4a7f3f7cb77"),
}


def test_the_five_generations_are_the_pinned_ones():
    found = {keys.generation: keys for keys in amd_roots()}
    assert list(found) == list(PINS)
    for name, keys in found.items():
        assert (keys.ark.fingerprint(), keys.ask.fingerprint()) == PINS[name]
        assert (keys.ark.key_id.hex(), keys.ask.key_id.hex()) == KEY_IDS[name]


@pytest.mark.parametrize("generation", list(PINS))
def test_each_pair_carries_good_signatures(generation):
    [keys] = [keys for keys in amd_roots() if keys.generation == generation]
    files = PlatformCertificates(ask=keys.ask.build(), ark=keys.ark.build())
    report = examine_chain(files, amd_roots())
    assert [link.verdict.value for link in report.links[:2]] == ["ok", "ok"]


def test_they_are_amds_own_files(vectors):
    for keys in amd_roots():
        folder = vectors / "chains" / keys.generation
        assert keys.ark.build() == (folder / "ark.cert").read_bytes()
        assert keys.ask.build() == (folder / "ask.cert").read_bytes()


def test_the_numbers_are_those_of_the_vectors(vectors):
    ours = json.loads(read_bytes("amd_roots.json"))["keys"]
    assert ours == json.loads((vectors / "amd_roots.json").read_text())["keys"]


@pytest.mark.parametrize("field", ["modulus", "key_id", "certifying_id", "body_sha256"])
def test_a_damaged_installation_is_refused(monkeypatch, field):
    table = json.loads(read_bytes("amd_roots.json"))
    value = table["keys"][0][field]
    table["keys"][0][field] = value[:-1] + ("0" if value[-1] != "0" else "1")
    monkeypatch.setattr(roots, "read_bytes", lambda name: json.dumps(table).encode())
    with pytest.raises(BadInput) as caught:
        amd_roots.__wrapped__()
    assert caught.value.code == "damaged-roots"
    assert "naples" in caught.value.message
