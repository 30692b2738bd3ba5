# SPDX-License-Identifier: Apache-2.0
"""Published weaknesses of AMD secure processors that matter to a guest owner, dated.

Shown as warnings; builds below ``first_good_build`` of their API are refused. It is
Python and not JSON because every verdict reads it, and a JSON parser costs a plain
command as much as all of its hashing.
"""

from __future__ import annotations

AS_OF = "2026-11-23"

ADVISORIES: tuple[dict[str, object], ...] = (
    {
        "name": "CVE-2019-9836",
        "published": "2019-06-25",
        "summary": (
            "an invalid-curve attack recovers the PDH private key, and with it the"
            " secrets of every launch on that platform"
        ),
        "source": (
            "AMD; Cohen, Google (2019): 0.17 build 11 and older affected, fixed in 0.17 build 22"
        ),
        "api_major": 0,
        "api_minor": 17,
        "first_good_build": 22,
    },
    {
        "name": "Naples endorsement key extraction",
        "published": "2019-08-30",
        "summary": (
            "endorsement keys (CEK) of this generation can be extracted from the"
            " processor, so that a platform's chain can be forged from real silicon"
        ),
        "source": "Buhren, Werling, Seifert: Insecure Until Proven Updated, arXiv 1908.11680",
        "generations": ("naples",),
    },
    {
        "name": "Zen 1 to Zen 3 voltage glitching",
        "published": "2021-08-10",
        "summary": (
            "whoever once held a processor of this generation in hand may have"
            " extracted its endorsement keys (CEK), and can forge that platform's"
            " chain"
        ),
        "source": (
            "Buhren, Jacob, Krachenfels, Seifert: One Glitch to Rule Them All, arXiv 2108.04575"
        ),
        "generations": ("naples", "rome", "milan"),
    },
    {
        "name": "Milan root seed extraction in software",
        "published": "2026-05-13",
        "summary": (
            "the seed that a Milan processor's endorsement keys come from can be read"
            " out by software alone"
        ),
        "source": "Insecure Despite Proven Updated, arXiv 2605.12990",
        "generations": ("milan",),
    },
)
