# SPDX-License-Identifier: Apache-2.0
"""What a host's operator is told, who has QEMU or virsh and has never heard of Watchword.

Plain ASCII, so that it can be read on any terminal and sent by any mail program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .exchange_turns import FORM_FILE, LAST_TURN, Turn

SOCKET: Final = "/run/vm1.sock"
"""Stands for the VM's QMP socket."""

MAKE_INJECT: Final = r"""printf '{"execute":"qmp_capabilities"}
     {"execute":"sev-inject-launch-secret","arguments":{
       "packet-header":"%s","secret":"%s"}}
     ' "$(tr -d '\r\n' < secret-header.b64)" "$(tr -d '\r\n' < secret.b64)" > inject.qmp"""
"""Makes the file whose long line mail can't carry; a command for the operator's shell."""

_CHECKSUMS: Final = """\
About the checksums: SHA256SUMS catches copying errors only, and proves nothing
about who wrote a file. The owner relies on AMD's certificates and on a keyed
checksum (HMAC) that only the processor can make. You may add a SHA256SUMS to
your answer (sha256sum * > SHA256SUMS); then damage on the way is noticed.
"""

_FORM_HEAD: Final = """\
# Instead of bringing a program's output you may fill in what it says, after the
# colons. Lines that begin with # count for nothing.
"""


def platform_request(launch_id: str) -> str:
    """README.txt of turn 1: what is asked of the host first."""
    return f"""\
{_head("Certificates of this host, for the owner of a virtual machine", launch_id, Turn.PLATFORM)}
The owner of a virtual machine wants to run it on this host, protected by AMD
SEV, and first has to see which processor it would run on. For that he needs the
host's certificates. Nothing in them is secret. Nothing has to be installed.

On the host, make ONE of these files and put it into this folder, or send its
text by mail:

  with libvirt
    virsh nodesevinfo > nodesevinfo.txt

  with QEMU alone (as a user who may open /dev/sev)
    printf '%s\\n' '{{"execute":"qmp_capabilities"}}' \\
        '{{"execute":"query-sev-capabilities"}}' '{{"execute":"quit"}}' |
      qemu-system-x86_64 -no-user-config -nodefaults -display none \\
        -machine none,accel=kvm -qmp stdio > capabilities.txt

  with sevctl
    sevctl export --full chain.cert

  with sev-tool, which asks AMD for the rest of the chain
    sevtool --ofolder ./ --export_cert_chain

  with KubeVirt
    virtctl sev fetch-cert-chain VM > chain.json

Of archives only sev-tool's certs_export.zip is opened.

{_CHECKSUMS}"""


def start_instructions(
    launch_id: str, contents: Sequence[str], *, bits_known: bool, kernel_hashes: bool
) -> str:
    """README.txt of turn 2: start paused, ask what was measured, bring it back.

    ``contents``    what the owner approved to be loaded, a line each
    ``bits_known``  whether the host said what cbitpos and reduced-phys-bits are
    """
    answer = f"../{Turn.MEASUREMENT.folder}"
    bits = "" if bits_known else _WHERE_THE_BITS_ARE
    kernel = _KERNEL if kernel_hashes else ""
    return f"""\
{_head("Start a protected virtual machine, and bring back its measurement", launch_id, Turn.START)}
The owner of a virtual machine has looked at this host's certificates. With the
files in this folder this host's secure processor, and nobody else, can take part
in the launch. Nothing here is secret. You need QEMU or libvirt, nothing more.

1. See that nothing was damaged on the way

     sha256sum -c SHA256SUMS

2. Start the virtual machine, and leave it paused

{_contents(contents)}{kernel}
   with QEMU: add the options in qemu-options.txt. godh.b64 and session.b64 are
   files in this folder: start QEMU here, or write their whole paths.
   with libvirt: put launchSecurity.xml into the domain (virsh edit NAME), then
     virsh start NAME --paused
{bits}
   Don't let it run yet: a virtual machine that runs takes no secret any more.

3. Ask what was measured

   with QEMU, at the socket that -qmp names (nc -U does as well as socat)
     (cat ask.qmp; sleep 5) | socat - UNIX-CONNECT:{SOCKET} > {answer}/qmp.txt
   with libvirt
     virsh domlaunchsecinfo NAME > {answer}/domlaunchsecinfo.txt
   and with libvirt before 8.0 also
     virsh qemu-monitor-command NAME '{{"execute":"query-sev"}}' > {answer}/query-sev.txt
   or by hand: fill in {FORM_FILE} in {Turn.MEASUREMENT.folder}.

4. Bring the answer back

   Give the folder {Turn.MEASUREMENT.folder} to the owner, or mail the text of
   the files in it. Leave the virtual machine as it is, paused, until you get the
   next folder: the measurement is good for this one start. If you have to start
   it again, do step 3 again.

godh.cert and launch_blob.bin are the same as godh.b64 and session.b64, in the
binary form that sev-tool knows.

{_CHECKSUMS}"""


def secret_instructions(launch_id: str, nonce: str | None) -> str:
    """README.txt of turn 4: hand the packet over, let the VM run, say so.

    ``nonce``  base64 of what the attestation report is to be made for; None where there
    is no secret to hand over
    """
    answer = f"../{Turn.RUNNING.folder}"
    title, about, hand_over = _LET_RUN_TITLE, _NO_PACKET, ""
    report, step = "", 2
    if nonce is not None:
        title, about, hand_over = _HAND_OVER_TITLE, _PACKET, _HAND_OVER
        report, step = _report_command(nonce, answer), 3
    return f"""\
{_head(title, launch_id, Turn.SECRET)}
The owner has checked what the virtual machine was started with. {about}

1. See that nothing was damaged on the way

     sha256sum -c SHA256SUMS
{hand_over}
{step}. Let it run, and say so

   with QEMU
     (cat run.qmp; sleep 5) | socat - UNIX-CONNECT:{SOCKET} > {answer}/qmp.txt
   with libvirt
     virsh resume NAME
     virsh qemu-monitor-command NAME '{{"execute":"query-sev"}}' > {answer}/query-sev.txt
{report}   or by hand: fill in {FORM_FILE} in {Turn.RUNNING.folder}.

{step + 1}. Bring the answer back

   Give the folder {Turn.RUNNING.folder} to the owner, or mail the text of the
   files in it. Without it the owner does not know whether the virtual machine runs.

{_CHECKSUMS}"""


def _report_command(nonce: str, answer: str) -> str:
    query = f'{{"execute":"query-sev-attestation-report","arguments":{{"mnonce":"{nonce}"}}}}'
    return (
        "     virsh qemu-monitor-command NAME \\\n"
        f"       '{query}' \\\n"
        f"       > {answer}/report.txt\n"
    )


def measurement_form(launch_id: str) -> str:
    """The form of turn 3; empty lines are filled in by the operator."""
    return (
        f"{_FORM_HEAD}"
        "# measurement is `data` of query-sev-launch-measure, or sev-measurement of\n"
        "# virsh domlaunchsecinfo. The numbers are decimal; policy may also be 0x....\n"
        f"launch: {launch_id}\n"
        "measurement:\napi-major:\napi-minor:\nbuild:\npolicy:\n"
    )


def running_form(launch_id: str) -> str:
    """The form of turn 5."""
    return (
        f"{_FORM_HEAD}"
        "# Write yes after running, once the virtual machine runs. report is `data` of\n"
        "# query-sev-attestation-report, and may stay empty.\n"
        f"launch: {launch_id}\nrunning:\nreport:\n"
    )


def platform_form(launch_id: str) -> str:
    """What goes between the lines of a mailed answer to turn 1."""
    return f"launch: {launch_id}\n# Put the output of virsh, QEMU or sevctl (base64) here.\n"


_WHERE_THE_BITS_ARE: Final = """\
   CBITPOS in the options is bits 5:0 of EBX of CPUID 0x8000001F, mostly 47 or 51;
   `virsh nodesevinfo` and QEMU's query-sev-capabilities say it too.
"""
_KERNEL: Final = """\
   Kernel, initrd and command line are measured: keep kernel-hashes=on (QEMU) or
   kernelHashes='yes' (libvirt).
"""
_HAND_OVER_TITLE: Final = "Hand over the sealed secret, and let the virtual machine run"
_LET_RUN_TITLE: Final = "Let the virtual machine run"
_PACKET: Final = (
    "The\nfiles in this folder hold its secret, encrypted for that one start: no other\n"
    "virtual machine, and no second start of the same one, can open it."
)
_NO_PACKET: Final = "There is\nno secret to hand over: it only has to be let run."
_HAND_OVER: Final = f"""
2. Hand the packet over

   with QEMU, at the socket that -qmp names
     (cat inject.qmp; sleep 5) | socat - UNIX-CONNECT:{SOCKET}
   with libvirt (8.0 or newer)
     virsh domsetlaunchsecstate NAME --secrethdr secret-header.b64 \\
       --secret secret.b64

   QEMU's last answer has to be {{"return": {{}}, ...}}. If there is an "error"
   instead, stop here, leave the virtual machine paused, and send that answer to
   the owner. The same packet may be handed over again; another one never comes.

   inject.qmp can be made from the two other files, if it did not come along:
     {MAKE_INJECT}
"""


def _contents(contents: Sequence[str]) -> str:
    if not contents:
        return (
            "   Use the firmware, kernel and options that you agreed on with its owner:\n"
            "   any other gives another measurement, and the owner will refuse it.\n"
        )
    lines = "".join(f"     - {line}\n" for line in contents)
    return (
        f"   What its owner agreed to:\n{lines}"
        "   Anything else gives another measurement, and the owner will refuse it.\n"
    )


def _head(title: str, launch_id: str, turn: Turn) -> str:
    return f"{title}\n{'=' * len(title)}\n\nLaunch {launch_id}, turn {turn:d} of {LAST_TURN:d}.\n"
