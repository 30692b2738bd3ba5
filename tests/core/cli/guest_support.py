# SPDX-License-Identifier: Apache-2.0
"""What the tests of ``guest`` share: the commands with a home and files of their own."""

from __future__ import annotations

import hashlib

PLAIN = "0x1100002b"
HASH = "ab" * 32


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Guests:
    """``watchword guest`` with a home, a firmware and a kernel: ``guests("list")``."""

    def __init__(self, command, home, firmware):
        self._command = command
        self.home = home
        self.firmware = home / "OVMF.fd"
        self.firmware.write_bytes(firmware.read_bytes())
        self.kernel = home / "vmlinuz"
        self.kernel.write_bytes(b"a kernel")

    def __call__(self, *words):
        return self._command("guest", *words)

    def path(self, name="vm1"):
        return self.home / "guests" / f"{name}.toml"

    def add(self, *words, name="vm1", policy=PLAIN):
        """Adds a profile of the firmware that must be taken without a word of warning."""
        made = self("add", name, "--firmware", self.firmware, "--policy", policy, *words, "--json")
        assert made.status == 0, made.out
        return made

    def profile(self, name="vm1"):
        """The profile as it is stored by now."""
        return self("show", name, "--json").json["profile"]
