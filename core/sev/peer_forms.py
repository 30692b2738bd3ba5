# SPDX-License-Identifier: Apache-2.0
"""The forms and file names in which tools expect the files of a launch.

Sources: AMDESE/sev-tool src/commands.h; virtee/sevctl src/main.rs and src/session.rs; QEMU's
query-sev-capabilities and sev-guest; libvirt's virsh; KubeVirt's virtctl sev; AMD's
ask_ark files.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..errors import UsageError
from ..secret import Secret
from .certificate_archive import ARCHIVE_NAME, write_archive
from .chain import PlatformCertificates, Role
from .chain_files import is_signed_cek
from .peer_files import LaunchFiles
from .peer_names import VERSION_FIELDS


class Form(StrEnum):
    """Whose files are to be written."""

    SEV_TOOL = "sev-tool"
    SEV_TOOL_ZIP = "sev-tool-zip"
    SEVCTL = "sevctl"
    SEVCTL_FULL = "sevctl-full"
    QEMU = "qemu"
    LIBVIRT = "libvirt"
    VIRTCTL = "virtctl"
    JSON = "json"
    AMD = "amd"


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file to be written; TEK and TIK come as a Secret. ``parts`` says what of the launch it is.

    The parts are ``pdh``, ``pek``, ``oca``, ``cek``, ``ask``, ``ark``, ``chip_id``, ``godh``,
    ``session``, ``tek``, ``tik``, ``header``, ``payload``, ``measurement`` and ``nonce``, ``api``
    (with the build), ``policy``, ``report``.
    """

    name: str
    data: bytes | Secret
    parts: tuple[str, ...]


_HOST_CHAIN: Final = ("pek", "oca", "cek")
_SIGNED_CHAINS: Final = (Form.SEVCTL, Form.SEVCTL_FULL, Form.SEV_TOOL_ZIP)
_UNSIGNED_CEK: Final = (
    "The CEK is the host's, which AMD did not sign: without AMD's copy of it no chain verifies."
)
_MEASURED: Final = ("measurement", "nonce")
_MAC_SIZE: Final = 32
_Row = tuple[str, str | int, tuple[str, ...]]
"""A field's name, its value, and the parts of a launch that it holds."""
_SHORT: Final = ("pdh", *_HOST_CHAIN)
_AMD: Final = ("ask", "ark")


def files_of_form(
    form: Form, files: LaunchFiles, name: str, wrap: int = 0
) -> tuple[OutputFile, ...]:
    """The files of a form, for what of it there is; ``name`` begins their names where they vary.

    ``wrap`` is the length of base64 lines, 0 for one line. Raises UsageError
    ``nothing-to-convert`` if nothing of what was given has a place in the form.
    """
    writer = _Writer(files, name, wrap)
    outputs = tuple(_WRITERS[form](writer))
    if not outputs:
        raise UsageError(
            "nothing-to-convert",
            f"There is nothing to write in the form {form.value}",
            writer.why_nothing(form),
            "Give the files that it is made of, or choose another form.",
        )
    return outputs


def left_out(files: LaunchFiles, outputs: Sequence[OutputFile]) -> tuple[str, ...]:
    """The parts that were given and are in none of the files."""
    written = {part for output in outputs for part in output.parts}
    return tuple(part for part in _parts(files) if part not in written)


def cautions(form: Form, files: LaunchFiles) -> tuple[str, ...]:
    """What will be found wanting in the files of a form, as sentences."""
    cek = files.certificates.cek
    if form in _SIGNED_CHAINS and cek is not None and not is_signed_cek(cek):
        return (_UNSIGNED_CEK,)
    return ()


def as_base64(data: bytes, wrap: int = 0) -> bytes:
    """Base64 text: one line without an end, or lines of ``wrap`` characters, each with its end."""
    text = base64.b64encode(data)
    if not wrap:
        return text
    return b"".join(text[i : i + wrap] + b"\n" for i in range(0, len(text), wrap))


def _parts(files: LaunchFiles) -> Iterator[str]:
    certificates = files.certificates
    for role in (Role.PDH, Role.PEK, Role.OCA, Role.CEK, Role.ASK, Role.ARK):
        if certificates.by_role()[role] is not None:
            yield role.value
    if certificates.chip_id is not None:
        yield "chip_id"
    for part in ("godh", "session", "tek", "tik", "header", "payload"):
        if getattr(files, part) is not None:
            yield part
    told = files.told
    for part, value in (
        *((name, told.measurement) for name in _MEASURED),
        ("api", told.version),
        ("policy", told.policy),
        ("report", told.report),
    ):
        if value is not None:
            yield part


class _Writer:
    """Makes the files of each form."""

    def __init__(self, files: LaunchFiles, name: str, wrap: int) -> None:
        self._files = files
        self._name = name
        self._wrap = wrap
        self._there = frozenset(_parts(files))

    def why_nothing(self, form: Form) -> str:
        there = ", ".join(sorted(self._there)) or "nothing"
        return f"What was given holds {there}; {_NEEDS[form]}."

    # -- forms ---------------------------------------------------------------------

    def sev_tool(self) -> Iterator[OutputFile]:
        yield from self._single_certificates()
        if self._has(*_HOST_CHAIN):
            yield OutputFile("cert_chain.cert", self._host_chain(), _HOST_CHAIN)
        yield from self._raw("godh", "godh.cert")
        yield from self._raw("session", "launch_blob.bin")
        if self._files.tek is not None and self._files.tik is not None:
            yield OutputFile(
                "tmp_tk.bin", _joined(self._files.tek, self._files.tik), ("tek", "tik")
            )
        yield from self._raw("payload", "packaged_secret.bin")
        yield from self._raw("header", "packaged_secret_header.bin")
        if (measured := self._files.told.measurement) is not None:
            # What its calc_measurement writes, to be compared with: the MAC without the nonce.
            mac = measured[:_MAC_SIZE]
            yield OutputFile("calc_measurement_out.bin", mac, ("measurement",))
            yield OutputFile("calc_measurement_out.txt", mac.hex().encode(), ("measurement",))
        yield from self._report("attestation_report.bin")

    def sev_tool_zip(self) -> Iterator[OutputFile]:
        singles = tuple(self._single_certificates())
        if singles:
            contents = {one.name: one.data for one in singles if isinstance(one.data, bytes)}
            parts = tuple(part for one in singles for part in one.parts)
            yield OutputFile(ARCHIVE_NAME, write_archive(contents), parts)

    def sevctl(self) -> Iterator[OutputFile]:
        yield from self._sevctl(_SHORT)

    def sevctl_full(self) -> Iterator[OutputFile]:
        yield from self._sevctl((*_SHORT, *_AMD))

    def _sevctl(self, roles: tuple[str, ...]) -> Iterator[OutputFile]:
        if self._has(*roles):
            chain = b"".join(self._certificate(role) for role in roles)
            yield OutputFile(f"{self._name}_chain.cert", chain, roles)
        yield from self._base64("godh", f"{self._name}_godh.b64")
        yield from self._base64("session", f"{self._name}_session.b64")
        for part, key in (("tek", self._files.tek), ("tik", self._files.tik)):
            if key is not None:
                yield OutputFile(f"{self._name}_{part}.bin", _copied(key), (part,))
        yield from self._raw("header", f"{self._name}_header.bin")
        yield from self._raw("payload", f"{self._name}_payload.bin")
        yield from self._measured_base64(f"{self._name}_measurement.b64")
        yield from self._report(f"{self._name}_report.bin")

    def qemu(self) -> Iterator[OutputFile]:
        if self._has("pdh"):
            pdh = as_base64(self._certificate("pdh"), self._wrap)
            yield OutputFile(f"{self._name}_pdh.b64", pdh, ("pdh",))
        if self._has(*_HOST_CHAIN):
            chain = as_base64(self._host_chain(), self._wrap)
            yield OutputFile(f"{self._name}_cert_chain.b64", chain, _HOST_CHAIN)
        for part in ("godh", "session", "header", "payload"):
            yield from self._base64(part, f"{self._name}_{part}.b64")
        yield from self._measured_base64(f"{self._name}_measurement.b64")

    def libvirt(self) -> Iterator[OutputFile]:
        # What virsh prints, and the names that XML and virsh use: <dhCert>, <session>,
        # --secrethdr, --secret.
        yield from self._table("nodesevinfo", 18, self._platform_rows())
        yield from self._base64("godh", f"{self._name}_dhCert.b64")
        yield from self._base64("session", f"{self._name}_session.b64")
        yield from self._base64("header", f"{self._name}_secrethdr.b64")
        yield from self._base64("payload", f"{self._name}_secret.b64")
        yield from self._table("domlaunchsecinfo", 15, self._told_rows(_VIRSH_NAMES))

    def virtctl(self) -> Iterator[OutputFile]:
        yield from self._json("certChain", _VIRTCTL_NAMES)

    def json(self) -> Iterator[OutputFile]:
        yield from self._json("cert-chain", _QEMU_NAMES)

    def amd(self) -> Iterator[OutputFile]:
        if self._has(*_AMD):
            both = b"".join(self._certificate(role) for role in _AMD)
            yield OutputFile("ask_ark.cert", both, _AMD)

    # -- pieces --------------------------------------------------------------------

    def _has(self, *parts: str) -> bool:
        return self._there.issuperset(parts)

    def _certificate(self, role: str) -> bytes:
        return self._files.certificates.by_role()[Role(role)] or b""

    def _host_chain(self) -> bytes:
        """PEK|OCA|CEK as the host handed it out: its CEK is unsigned where there is such a one."""
        certificates: PlatformCertificates = self._files.certificates
        cek = certificates.cek_from_host or certificates.cek or b""
        return self._certificate("pek") + self._certificate("oca") + cek

    def _single_certificates(self) -> Iterator[OutputFile]:
        for role in (*_SHORT, *_AMD):
            if self._has(role):
                yield OutputFile(f"{role}.cert", self._certificate(role), (role,))

    def _raw(self, part: str, name: str) -> Iterator[OutputFile]:
        data = getattr(self._files, part)
        if data is not None:
            yield OutputFile(name, data, (part,))

    def _base64(self, part: str, name: str) -> Iterator[OutputFile]:
        data = getattr(self._files, part)
        if data is not None:
            yield OutputFile(name, as_base64(data, self._wrap), (part,))

    def _measured_base64(self, name: str) -> Iterator[OutputFile]:
        if (measured := self._files.told.measurement) is not None:
            yield OutputFile(name, as_base64(measured, self._wrap), _MEASURED)

    def _report(self, name: str) -> Iterator[OutputFile]:
        if (report := self._files.told.report) is not None:
            yield OutputFile(name, report, ("report",))

    def _table(self, command: str, width: int, rows: Iterable[_Row]) -> Iterator[OutputFile]:
        """As virsh prints the answer to a command, names in a column of ``width``."""
        found = tuple(rows)
        if found:
            text = "".join(f"{name:<{width}}: {value}\n" for name, value, _ in found)
            parts = tuple(part for _, _, parts in found for part in parts)
            yield OutputFile(f"{self._name}_{command}.txt", text.encode(), parts)

    def _platform_rows(self, chain_key: str = "cert-chain") -> Iterator[_Row]:
        if self._has("pdh"):
            yield "pdh", _text(self._certificate("pdh")), ("pdh",)
        if self._has(*_HOST_CHAIN):
            yield chain_key, _text(self._host_chain()), _HOST_CHAIN
        if (chip_id := self._files.certificates.chip_id) is not None:
            yield "cpu0-id", _text(chip_id), ("chip_id",)

    def _told_rows(self, names: Mapping[str, str]) -> Iterator[_Row]:
        """Measurement, version and policy; ``names`` says what a program calls them."""
        told = self._files.told
        if told.measurement is not None:
            yield names["measurement"], _text(told.measurement), _MEASURED
        if told.version is not None:
            version = told.version
            numbers = (version.api_major, version.api_minor, version.build)
            for name, number in zip(VERSION_FIELDS, numbers, strict=True):
                yield names[name], number, ("api",)
        if told.policy is not None:
            yield names["policy"], told.policy, ("policy",)

    def _json(self, chain_key: str, names: Mapping[str, str]) -> Iterator[OutputFile]:
        """One object with what query-sev-capabilities and KubeVirt's commands call these parts."""
        rows = [*self._platform_rows(chain_key)]
        for part, key in _LAUNCH_KEYS.items():
            if (data := getattr(self._files, part)) is not None:
                rows.append((key, _text(data), (part,)))
        rows += self._told_rows(names)
        if rows:
            content = {name: value for name, value, _ in rows}
            text = json.dumps(content, indent=2).encode() + b"\n"
            parts = tuple(part for _, _, parts in rows for part in parts)
            yield OutputFile(f"{self._name}.json", text, parts)


_VIRSH_NAMES: Final = {name: f"sev-{name}" for name in ("measurement", *VERSION_FIELDS, "policy")}
_QEMU_NAMES: Final = {"measurement": "data", **{name: name for name in (*VERSION_FIELDS, "policy")}}
_VIRTCTL_NAMES: Final = {
    "measurement": "measurement",
    "api-major": "apiMajor",
    "api-minor": "apiMinor",
    "build-id": "buildID",
    "policy": "policy",
}
_LAUNCH_KEYS: Final = {
    "godh": "dhCert",
    "session": "session",
    "header": "header",
    "payload": "secret",
}
_WRITERS: Final[dict[Form, Callable[[_Writer], Iterator[OutputFile]]]] = {
    Form.SEV_TOOL: _Writer.sev_tool,
    Form.SEV_TOOL_ZIP: _Writer.sev_tool_zip,
    Form.SEVCTL: _Writer.sevctl,
    Form.SEVCTL_FULL: _Writer.sevctl_full,
    Form.QEMU: _Writer.qemu,
    Form.LIBVIRT: _Writer.libvirt,
    Form.VIRTCTL: _Writer.virtctl,
    Form.JSON: _Writer.json,
    Form.AMD: _Writer.amd,
}
_LAUNCH_PARTS: Final = "GODH, launch blob, a packet's header or payload, or a measurement"
_NEEDS: Final = {
    Form.SEV_TOOL: "it takes certificates, launch material, both keys, a packet or a measurement",
    Form.SEV_TOOL_ZIP: "it takes certificates",
    Form.SEVCTL: f"it takes PDH, PEK, OCA and CEK together, keys, {_LAUNCH_PARTS}",
    Form.SEVCTL_FULL: f"it takes all six certificates together, keys, {_LAUNCH_PARTS}",
    Form.QEMU: f"it takes a PDH, PEK with OCA and CEK, {_LAUNCH_PARTS}",
    Form.LIBVIRT: f"it takes a PDH, PEK with OCA and CEK, {_LAUNCH_PARTS}",
    Form.VIRTCTL: f"it takes a PDH, PEK with OCA and CEK, {_LAUNCH_PARTS}",
    Form.JSON: f"it takes a PDH, PEK with OCA and CEK, {_LAUNCH_PARTS}",
    Form.AMD: "it takes ASK and ARK together",
}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _joined(tek: Secret, tik: Secret) -> Secret:
    buffer = bytearray(len(tek) + len(tik))  # in full from the start: growing leaves copies
    try:
        with tek.reveal() as first, tik.reveal() as second:
            buffer[: len(first)] = first
            buffer[len(first) :] = second
        return Secret(buffer)
    finally:
        buffer[:] = bytes(len(buffer))


def _copied(key: Secret) -> Secret:
    with key.reveal() as view:
        return Secret(view)
