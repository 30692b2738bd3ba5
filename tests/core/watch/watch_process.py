# SPDX-License-Identifier: Apache-2.0
"""A watch over a folder in a process of its own, which may die with SIGKILL at any point."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from watchword.core.amd.advisories import published_advisories
from watchword.core.guest.document import read_profile
from watchword.core.launch.desk import LaunchDesk
from watchword.core.launch.surroundings import Surroundings, connector
from watchword.core.records.database import Records
from watchword.core.secret import Secret
from watchword.core.sev.certificates import AmdCertificate
from watchword.core.sev.chain import RootKeys
from watchword.core.vault.header import OpenWith
from watchword.core.vault.key_stretching import Scrypt
from watchword.core.vault.passphrase_way import PassphraseWay
from watchword.core.vault.vault import Vault
from watchword.core.watch.folder_source import FolderSource
from watchword.core.watch.rules import WatchRules
from watchword.core.watch.watch import Pace, Watch

HOSTS = ("qmp+unix:///tmp/ww-*/*.sock",)


def main(home: str, passphrase: str) -> None:
    """Serve until the file ``stop`` is there; what is needed lies in the home."""
    place, opening = Path(home), Secret(passphrase.encode())
    way = PassphraseWay(lambda: opening, lambda: opening, Scrypt(log2_n=14, r=1))
    ark, ask = (AmdCertificate.parse((place / name).read_bytes()) for name in ("ark", "ask"))
    profile = read_profile((place / "vm1.toml").read_bytes(), "vm1.toml")
    surroundings = Surroundings(
        connect=connector(),
        roots=(RootKeys("simulated", ark, ask),),
        advisories=published_advisories(),
        lock_seconds=0,
    )
    with (
        Records.open(place) as records,
        Vault.open(place / "vault", {OpenWith.PASSPHRASE: way}) as vault,
        LaunchDesk(records, vault, surroundings) as desk,
    ):
        rules = WatchRules(guests={"vm1": profile}, hosts=HOSTS)
        pace = Pace(tick=0.05, expiry=1, retry=0.1, grace=5)
        watch = Watch(desk, records, surroundings, rules, pace=pace)
        asyncio.run(_serve(watch, place))


async def _serve(watch: Watch, place: Path) -> None:
    stop = asyncio.Event()

    async def look() -> None:
        while not (place / "stop").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.02)
        stop.set()

    source = FolderSource(place / "in", poll=0.02, retry=0.1)
    await asyncio.gather(watch.run([source], stop), look())


if __name__ == "__main__":
    main(*sys.argv[1:])
