# SPDX-License-Identifier: Apache-2.0
"""The files of turn 2: GODH and launch blob under the names that QEMU and libvirt people know.

Source: QEMU docs/system/i386/amd-memory-encryption; libvirt docs/formatdomain,
launchSecurity; sev-tool's names for the binary files.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

from .exchange_instructions import SOCKET, start_instructions
from .exchange_qmp import command_lines
from .exchange_turns import README_FILE
from .host_words import visible
from .protocol import PlatformAnswer, StartOrder
from .urls import ExchangeAddress, UnixAddress, parse_host_url

ESSENTIAL: Final = ("godh.b64", "session.b64", "godh.cert", "launch_blob.bin", "policy.txt")
"""What a launch never changes; the other files are texts that say how to use these."""

_LINE: Final = 64
_CONTENTS_CHARACTERS: Final = 400


def start_files(
    launch_id: str, order: StartOrder, platform: PlatformAnswer | None, host: str = ""
) -> dict[str, bytes]:
    """Names and contents; the same order gives the same files.

    ``host`` is the URL at which the VM's QMP is to answer, where it is known.

    ``platform`` is what the host said of itself in turn 1, for cbitpos and
    reduced-phys-bits; None if nothing can be read there any more.
    """
    godh = base64.b64encode(order.owner_dh_certificate).decode()
    session = base64.b64encode(order.launch_blob).decode()
    bits = (platform.cbitpos, platform.reduced_phys_bits) if platform else (None, None)
    contents = [_plain(line) for line in order.contents]
    texts: Mapping[str, str] = {
        "godh.b64": godh,
        "session.b64": session,
        "policy.txt": f"0x{order.policy:08x}\n",
        "launchSecurity.xml": _libvirt_element(order, godh, session, bits),
        "qemu-options.txt": _qemu_options(order, bits, _qmp(host)),
        "ask.qmp": command_lines(
            launch_id, "query-sev", "query-status", "query-cpus-fast", "query-sev-launch-measure"
        ),
        README_FILE: start_instructions(
            launch_id,
            contents,
            bits_known=bits[0] is not None,
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
    if isinstance(address, UnixAddress):
        return "unix:" + address.path.replace(",", ",,")
    return "QMP-ADDRESS" if not isinstance(address, ExchangeAddress) else f"unix:{SOCKET}"


def _qemu_options(order: StartOrder, bits: tuple[int | None, int | None], qmp: str) -> str:
    cbitpos = "CBITPOS" if bits[0] is None else str(bits[0])
    reduced = 1 if bits[1] is None else bits[1]
    hashes = ",kernel-hashes=on" if order.kernel_hashes else ""
    return (
        "-machine q35,confidential-guest-support=sev0,vmport=off \\\n"
        f"-object sev-guest,id=sev0,cbitpos={cbitpos},reduced-phys-bits={reduced},"
        f"policy=0x{order.policy:x},dh-cert-file=godh.b64,session-file=session.b64{hashes} \\\n"
        f"-S -qmp {qmp},server=on,wait=off\n"
    )


def _libvirt_element(
    order: StartOrder, godh: str, session: str, bits: tuple[int | None, int | None]
) -> str:
    """The element of the domain's XML; libvirt finds the two numbers itself where they lack."""
    hashes = " kernelHashes='yes'" if order.kernel_hashes else ""
    names = ("cbitpos", "reducedPhysBits")
    numbers = "".join(
        f"  <{name}>{value}</{name}>\n"
        for name, value in zip(names, bits, strict=True)
        if value is not None
    )
    return (
        f"<launchSecurity type='sev'{hashes}>\n"
        f"{numbers}  <policy>0x{order.policy:04x}</policy>\n"
        f"  <dhCert>{_wrapped(godh)}</dhCert>\n"
        f"  <session>{_wrapped(session)}</session>\n"
        "</launchSecurity>\n"
    )


def _wrapped(text: str) -> str:
    """Base64 in lines that can be mailed; QEMU, who decodes it, takes no notice of them."""
    return "\n".join(text[at : at + _LINE] for at in range(0, len(text), _LINE))


def _plain(line: str) -> str:
    """A line of the owner's as ASCII without anything that could steer a terminal."""
    return visible(line, _CONTENTS_CHARACTERS).encode("ascii", "backslashreplace").decode()
