# SPDX-License-Identifier: Apache-2.0
"""What the vault's tests share: a keyring in memory, ways to open, a private Secret Service."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from pathlib import Path

from watchword.core.secret import Secret
from watchword.core.vault.header import OpenWith
from watchword.core.vault.key_stretching import Scrypt
from watchword.core.vault.keyring_access import KeyringAccess
from watchword.core.vault.keyring_way import KeyringWay
from watchword.core.vault.passphrase_way import PassphraseWay

PASSPHRASE = b"five words chosen by chance"
CHEAP = Scrypt(log2_n=14, r=1)
"""The least work that is accepted: 2 MiB, a few milliseconds."""

# No <servicedir>: the first question on a stock session bus would start a second, locked
# gnome-keyring that takes the name.
BUS_CONFIG = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


class MemoryBackend:
    """A keyring for unit tests: a dictionary that counts its calls."""

    def __init__(self):
        self.items = {}
        self.calls = []

    def get_password(self, service, username):
        self.calls.append(("get", service, username))
        return self.items.get((service, username))

    def set_password(self, service, username, password):
        self.calls.append(("set", service, username))
        self.items[service, username] = password

    def delete_password(self, service, username):
        self.calls.append(("delete", service, username))
        if self.items.pop((service, username), None) is None:
            raise LookupError  # what no keyring raises, but what a test sees


def memory_access(backend, limit=5.0):
    """Access to a keyring in memory, as a process has it."""
    return KeyringAccess(limit, lambda wanted: (wanted or "Memory", backend))


def keyring_ways(access):
    return {OpenWith.KEYRING: KeyringWay(access)}


def passphrase_way(passphrase=PASSPHRASE, new=None, stretching=CHEAP):
    return PassphraseWay(lambda: Secret(passphrase), lambda: Secret(new or passphrase), stretching)


def passphrase_ways(passphrase=PASSPHRASE):
    return {OpenWith.PASSPHRASE: passphrase_way(passphrase)}


def revealed(secret):
    """The bytes of a secret."""
    with secret.reveal() as view:
        return bytes(view)


class PrivateBus:
    """A D-Bus daemon of its own, in a folder of its own."""

    def __init__(self, program, folder: Path):
        config = folder / "bus.conf"
        config.write_text(BUS_CONFIG.format(socket=folder / "bus"))
        self.process = subprocess.Popen(
            [program, f"--config-file={config}", "--nofork", "--nopidfile", "--print-address=1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.address = read_line(self.process.stdout).decode().strip()

    def stop(self):
        end(self.process)


class SecretService:
    """gnome-keyring in the foreground on a private bus, unlocked or locked."""

    def __init__(self, program, bus: PrivateBus, folder: Path, *, unlocked: bool):
        self.bus = bus
        self.environment = {
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "DBUS_SESSION_BUS_ADDRESS": bus.address,
            "PATH": os.environ["PATH"],
        }
        for name in ("data", "run"):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        words = [program, "--foreground", "--components=secrets"]
        self.process = subprocess.Popen(
            [*words, "--unlock"] if unlocked else words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment,
        )
        self.process.stdin.write(b"login password")
        self.process.stdin.close()

    def stop(self):
        end(self.process)


def read_line(stream):
    ready, _, _ = select.select([stream], [], [], 20)
    assert ready, "the program said nothing"
    return stream.readline()


def end(process):
    """End a process of ours, and close what leads to it; may be called again."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
