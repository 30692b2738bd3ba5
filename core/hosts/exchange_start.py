# SPDX-License-Identifier: Apache-2.0
"""The files of turn 2: GODH and launch blob under the names that QEMU and libvirt people know.

Source: QEMU docs/system/i386/amd-memory-encryption; libvirt docs/formatdomain,
launchSecurity; sev-tool's names for the binary files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..handover.domain_xml import element_text
from ..handover.libvirt_domain import launch_security
from ..handover.qemu_command import sev_fragment
from ..handover.vm_order import GODH_FILE, SESSION_FILE, SevOptions
from .exchange_instructions import SOCKET, start_instructions
from .exchange_qmp import command_lines
from .exchange_turns import README_FILE
from .host_words import visible
from .protocol import PlatformAnswer, StartOrder
from .ssh_url import SshAddress
from .urls import ExchangeAddress, UnixAddress, parse_host_url

ESSENTIAL: Final = (GODH_FILE, SESSION_FILE, "godh.cert", "launch_blob.bin", "policy.txt")
"""What a launch never changes; the other files are texts that say how to use these."""

_CONTENTS_CHARACTERS: Final = 400


def start_files(
    launch_id: str, order: StartOrder, platform: PlatformAnswer | None, host: str = ""
) -> dict[str, bytes]:
    """Names and contents; the same order gives the same files.

    ``host`` is the URL at which the VM's QMP is to answer, where it is known.

    ``platform`` is what the host said of itself in turn 1, for cbitpos and
    reduced-phys-bits; None if nothing can be read there any more.
    """
    sev = SevOptions(
        godh=order.owner_dh_certificate,
        blob=order.launch_blob,
        policy=order.policy,
        kernel_hashes=order.kernel_hashes,
        cbitpos=platform.cbitpos if platform else None,
        reduced_phys_bits=platform.reduced_phys_bits if platform else None,
    )
    contents = [_plain(line) for line in order.contents]
    texts: Mapping[str, str] = {
        GODH_FILE: sev.godh_base64,
        SESSION_FILE: sev.session_base64,
        "policy.txt": f"0x{order.policy:08x}\n",
        "launchSecurity.xml": element_text(launch_security(sev)),
        "qemu-options.txt": sev_fragment(sev, _qmp(host)),
        "ask.qmp": command_lines(
            launch_id, "query-sev", "query-status", "query-cpus-fast", "query-sev-launch-measure"
        ),
        README_FILE: start_instructions(
            launch_id,
            contents,
            bits_known=sev.cbitpos is not None,
            kernel_hashes=order.kernel_hashes,
        ),
    }
    return {
        **{name: text.encode() for name, text in texts.items()},
        "godh.cert": order.owner_dh_certificate,
        "launch_blob.bin": order.launch_blob,
    }


def _qmp(host: str) -> str:
    """Where QEMU is to listen; in its options a comma is doubled."""
    if not host:
        return f"unix:{SOCKET}"
    address = parse_host_url(host)
    if isinstance(address, UnixAddress | SshAddress):
        return "unix:" + address.path.replace(",", ",,")
    return "QMP-ADDRESS" if not isinstance(address, ExchangeAddress) else f"unix:{SOCKET}"


def _plain(line: str) -> str:
    """A line of the owner's as ASCII without anything that could steer a terminal."""
    return visible(line, _CONTENTS_CHARACTERS).encode("ascii", "backslashreplace").decode()
