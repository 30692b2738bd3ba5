# SPDX-License-Identifier: Apache-2.0
"""The rows of docs/interop.md: in words what each comparison is; its number comes from a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

VALIDATE = "virt-qemu-sev-validate"
MEASURE = "sev-snp-measure"
TOOL, CTL = "sev-tool", "sevctl"


class Row(Protocol):
    """A line of a table that lacks its number."""

    def line(self, count: object) -> str:
        """The line."""
        ...


@dataclass(frozen=True, slots=True)
class Agreement:
    """Cases in which a program and Watchword gave the same bytes or the same verdict."""

    program: str
    what: str

    def line(self, count: object) -> str:
        """Its line of the table."""
        return f"| {self.program} | {self.what} | {count} |"


@dataclass(frozen=True, slots=True)
class Difference:
    """Cases in which they differ, known and wanted."""

    program: str
    case: str
    theirs: str
    ours: str

    def line(self, count: object) -> str:
        """Its line of the table."""
        return f"| {self.program} | {self.case} | {self.theirs} | {self.ours} | {count} |"


AGREEMENTS: Mapping[str, Agreement] = {
    "validate-sev": Agreement(
        VALIDATE, "accepts what our simulator measures: SEV, several firmwares and policies"
    ),
    "validate-kernel": Agreement(
        VALIDATE, "the same with kernel hashes: initrd and command line in all variants"
    ),
    "validate-es": Agreement(
        VALIDATE, "the same with SEV-ES by the CPU's numbers: every CPU model, 1 to 255 vCPUs"
    ),
    "validate-es-pages": Agreement(
        VALIDATE, "the same with SEV-ES by VMSA pages of ours: legacy, INIT2, SEV features"
    ),
    "validate-es-sevctl": Agreement(
        VALIDATE, "the same with SEV-ES by VMSA pages that sevctl made"
    ),
    "validate-real-firmware": Agreement(
        VALIDATE, "the same with Debian's OVMF and the ends of real AmdSev images"
    ),
    "verdict-accepted": Agreement(VALIDATE, "right claims about a VM: both accept"),
    "verdict-refused": Agreement(
        VALIDATE, "claims changed in one or two ways (file, CPU, policy, version, key): both refuse"
    ),
    "verdict-unusable": Agreement(VALIDATE, "claims that can't be used: both say so"),
    "sealed-packets": Agreement(
        VALIDATE,
        "packets of `watchword secret seal`: made exactly where the measurement verifies, never"
        " where it refuses, and accepted by the simulated secure processor",
    ),
    "validate-packets": Agreement(
        VALIDATE,
        "its secret packets: accepted by the simulated secure processor, its table read by ours",
    ),
    "packet-size": Agreement(VALIDATE, "size of the packet for the same secret"),
    "clone-refused": Agreement(
        VALIDATE, "a packet for another VM from the same launch blob is refused (fw_error 11)"
    ),
    "measure-sev": Agreement(MEASURE, "launch digest, SEV"),
    "measure-sev-refused": Agreement(
        MEASURE, "kernel hashes on firmware without room for them: both refuse (SEV)"
    ),
    "measure-es": Agreement(MEASURE, "launch digest, SEV-ES with INIT2 pages, 1 to 255 vCPUs"),
    "measure-es-refused": Agreement(
        MEASURE, "kernel hashes on firmware without room for them: both refuse (SEV-ES)"
    ),
    "measure-es-cpus": Agreement(
        MEASURE, "launch digest, SEV-ES, every CPU signature that we know"
    ),
    "measure-models": Agreement(MEASURE, "CPU models and their signatures: all that it lists"),
    "measure-signatures": Agreement(MEASURE, "signature of family, model and stepping"),
    "measure-pages": Agreement(MEASURE, "VMSA pages, byte for byte (INIT2)"),
    "attested-sev-tool": Agreement(
        TOOL, "VMs started with its launch blobs: measured, verified, given their secret"
    ),
    "attested-sevctl": Agreement(
        CTL, "VMs started with its launch blobs: measured, verified, given their secret"
    ),
    "blobs-sev-tool": Agreement(TOOL, "launch blobs for a real PDH, byte for byte (known answers)"),
    "blobs-sevctl": Agreement(CTL, "launch blobs for a real PDH, byte for byte (known answers)"),
    "known-measurements-sev-tool": Agreement(
        TOOL, "`watchword measurement compute` (known answers, one from before API 0.17)"
    ),
    "known-measurements-sevctl": Agreement(CTL, "`watchword measurement compute` (known answers)"),
    "known-packets-sevctl": Agreement(
        CTL, "its packets that were recorded whole: MAC right to the simulator, table read by ours"
    ),
    "chain-naples": Agreement(
        "AMD", "a real Naples chain, in each layout that sev-tool and sevctl write"
    ),
    "chain-roots": Agreement("AMD", "ASK under ARK, Naples to Turin"),
}

DIFFERENCES: Mapping[str, Difference] = {
    "known-bad-build": Difference(
        VALIDATE,
        "right measurement by a firmware build with published holes",
        "accepts",
        "refuses (exit 3)",
    ),
    "loose-measurement": Difference(
        VALIDATE,
        "a reported measurement that is not 48 bytes in strict base64",
        "reads what it can: accepts, or calls it a mismatch",
        "refuses to read it (exit 6)",
    ),
    "vcpus-without-es": Difference(
        VALIDATE,
        "vCPUs given, policy without ES",
        "leaves them out without a word",
        "says that they contradict each other (exit 2)",
    ),
    "kernel-without-hash-area": Difference(
        VALIDATE,
        "a kernel on firmware without a hash area, which QEMU does not start",
        "adds the table all the same, and calls it a mismatch",
        "names the firmware as the reason (exit 6)",
    ),
    "cut-short-firmware": Difference(
        VALIDATE,
        "firmware of a size that QEMU refuses",
        "calls it a mismatch",
        "says that the file is cut short (exit 6)",
    ),
    "reserved-policy-bit": Difference(
        VALIDATE,
        "a policy with reserved bits, which no firmware accepts",
        "calls it a mismatch",
        "names the bits (exit 2)",
    ),
    "one-vcpu-by-page": Difference(
        VALIDATE,
        "SEV-ES, one vCPU, only its own page given",
        "ends with an internal error (exit 6)",
        "gives the verdict",
    ),
    "one-vcpu-without-table": Difference(
        VALIDATE,
        "SEV-ES, one vCPU, firmware without a table",
        "ends with an error (exit 6)",
        "gives the verdict: no page needs the table",
    ),
    "page-without-table": Difference(
        VALIDATE,
        "SEV-ES, several vCPUs, pages given, firmware without a table",
        "takes the page's word for the reset address: a mismatch",
        "says that the reset address is missing (exit 6)",
    ),
    "superfluous-block": Difference(
        VALIDATE,
        "a secret table that is whole 16-byte blocks already",
        "adds a block of zeros",
        "adds none",
    ),
    "largest-secret": Difference(
        VALIDATE,
        "the largest secret that KVM copies (a table of 16384 bytes)",
        "makes a packet of 16400 bytes, which KVM refuses",
        "makes one that is accepted",
    ),
    "trailing-nul": Difference(
        VALIDATE,
        "a disk passphrase for GRUB, which wants a NUL after it",
        "adds none",
        "adds it, and says so; none with a measured kernel",
    ),
    "empty-secret": Difference(
        VALIDATE, "a secret file without a byte in it", "packs it", "refuses it (exit 6)"
    ),
    "no-secret-area": Difference(
        VALIDATE,
        "a secret for firmware without a secret area",
        "makes a packet that QEMU can't put anywhere",
        "refuses, and names the firmware (exit 6)",
    ),
    "decimal-policy": Difference(
        VALIDATE,
        "a policy in hex",
        "can't read it (exit 2)",
        "reads hex, decimal and names",
    ),
    "legacy-pages": Difference(
        MEASURE,
        "VMSA pages of VMs made by KVM_SEV_ES_INIT, QEMU's default",
        "has MXCSR and FCW set, as with KVM_SEV_INIT2 alone",
        "leaves these two fields 0 unless `--vmsa init2` is given",
    ),
    "models-not-listed": Difference(
        MEASURE, "CPU models of newer QEMU, and qemu64", "does not list them", "knows them"
    ),
    "no-reset-address": Difference(
        MEASURE,
        "SEV-ES, one vCPU, firmware without a reset address",
        "refuses",
        "computes it: no page needs the address",
    ),
    "cut-policies-sev-tool": Difference(
        TOOL,
        "launch blobs for policies above 8 bits (known answers)",
        "its MAC is over the lowest 8 bits: no such VM starts",
        "its MAC is over all 32 bits",
    ),
    "cut-policies-sevctl": Difference(
        CTL,
        "launch blobs for policies with a least API or reserved bits (known answers)",
        "its MAC is over other bits: no such VM starts",
        "its MAC is over all 32 bits",
    ),
    "reserved-policy-sev-tool": Difference(
        TOOL,
        "a measurement under a policy with reserved bits (known answer)",
        "computes it",
        "refuses the policy (exit 2)",
    ),
    "bare-packets-sev-tool": Difference(
        TOOL,
        "secret packets (known answers that were recorded whole)",
        "encrypts the bare file, without table and padding; the MAC is right",
        "always makes a table, padded to 16 bytes",
    ),
}

NOT_COMPARED = (
    (
        "No SEV hardware was asked. The secure processor here is our simulator, written from AMD's"
        " specification apart from the owner's code; that other programs accept what it measures is"
        " what speaks for it."
    ),
    (
        "`sev-tool` and `sevctl` are not run by the tests: Debian 12 has no packages of them. Their"
        " answers were recorded, with fixed random bytes."
    ),
    (
        "`virt-qemu-sev-validate` is asked with files alone, never over a libvirt connection. Most"
        " cases fork the loaded program; that this is the same as running it is a test of its own."
    ),
    (
        "Of real AmdSev firmware there are the last 4096 bytes; whole images are Debian's OVMF and"
        " what the simulator builds. No guest ever boots here."
    ),
    (
        "No Debian package holds AMD's certificates; the real chain and the roots are those of"
        " `../shared/vectors`, without which these tests are skipped."
    ),
)
