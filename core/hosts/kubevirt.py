# SPDX-License-Identifier: Apache-2.0
"""KubevirtHost: the Host that is a KubeVirt VM, by the four commands of ``virtctl sev``.

Source: KubeVirt pkg/virtctl/sev, API v1 SEVPlatformInfo and SEVMeasurementInfo.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from ..bounded_json import parse_json
from ..errors import BadInput, HostError
from .child_process import ChildProcess
from .closing import Closing
from .command_errors import Refusal, explain_refusal
from .connection_errors import INJECT_COMMAND, OPEN_QUESTION
from .host_words import visible
from .kubevirt_url import KubevirtAddress
from .libvirt_errors import malformed
from .limits import DEFAULT_LIMITS, HostLimits
from .protocol import GuestState, PlatformAnswer, SevState, StartOrder, Technology
from .replies import read_measurement, read_platform

if TYPE_CHECKING:
    from ..sev.secret_packet import Packet
    from .protocol import Host

_SYSTEM_FOLDERS: Final = ("/usr/local/bin", "/usr/bin", "/bin")
_ENVIRONMENT: Final = ("HOME", "USER", "KUBECONFIG", "XDG_CONFIG_HOME", "TMPDIR", "HTTPS_PROXY")
_REFUSED: Final = "kubevirt-refused"
_U8: Final = 255
_U32: Final = 2**32 - 1


class KubevirtHost(Closing):
    """One VM. Nothing is connected between calls: each runs virtctl once.

    KubeVirt answers for a VM that waits for its owner (``attestation: {}``) and tells neither
    state nor vCPUs nor attestation reports. Raises HostError.
    """

    def __init__(self, address: KubevirtAddress, limits: HostLimits, program: str) -> None:
        """Use :meth:`connect`."""
        self._address = address
        self._limits = limits
        self._program = program
        self._resumed: GuestState | None = None

    @classmethod
    async def connect(cls, address: KubevirtAddress, limits: HostLimits = DEFAULT_LIMITS) -> Self:
        """Find virtctl. Raises HostError ``virtctl-missing``, which names the other way."""
        program = shutil.which("virtctl", path=_path())
        if program is None:
            raise HostError(
                "virtctl-missing",
                "There is no virtctl here",
                f"{address.url} is reached with KubeVirt's own client, and none was found.",
                "Install virtctl of your cluster's version; or use exchange:///FOLDER, and have an"
                " operator run `virtctl sev` there.",
                {"host": address.url, "program": "virtctl"},
            )
        return cls(address, limits, program)

    @property
    def url(self) -> str:
        """Where the VM is."""
        return self._address.url

    async def platform(self) -> PlatformAnswer:
        """PDH and certificate chain of the node that the VM was put on, by ``fetch-cert-chain``."""
        answer = await self._json("fetch-cert-chain")
        fields: dict[str, object] = {
            "pdh": answer.get("pdh", ""),
            "cert-chain": answer.get("certChain", ""),
            "cbitpos": 0,
            "reduced-phys-bits": 0,
        }
        if answer.get("cpu0Id"):
            fields["cpu0-id"] = answer["cpu0Id"]
        read = read_platform(fields)
        return PlatformAnswer(read.pdh, read.cert_chain, read.cpu_id, None, None)

    async def start(self, order: StartOrder) -> None:
        """Give the waiting VM this launch's certificate and blob, by ``setup-session``.

        A VM that is measured already was given a session before, and is left as it is: its
        measurement tells whose. Raises HostError ``kubevirt-session-given`` for one that was
        given a session and is not measured yet, ``kubevirt-not-waiting`` for one that waits
        for none.
        """
        if await self._is_measured():
            return
        try:
            await self._sev(
                "setup-session",
                *("--session", base64.b64encode(order.launch_blob).decode()),
                *("--dhcert", base64.b64encode(order.owner_dh_certificate).decode()),
            )
        except HostError as error:
            raise self._takes_no_session(error) or error from None

    async def _is_measured(self) -> bool:
        """Whether ``query-measurement`` is answered, which it is for a started VM alone."""
        try:
            await self._sev("query-measurement")
        except HostError as error:
            if error.code != _REFUSED:
                raise
            return False
        return True

    def _takes_no_session(self, error: HostError) -> HostError | None:
        """What KubeVirt's refusal of a session means; None for one that is not known."""
        if "Session already defined" in error.message:
            return HostError(
                "kubevirt-session-given",
                "This VM was given a session already",
                f"The VM of {self.url} has a session, and is not measured yet. A session is given"
                " once: nothing was changed.",
                "If it is this launch's, wait until the VM is paused (`virtctl sev"
                f" query-measurement {self._address.name}` answers then), and resume the launch."
                f" If not: `virtctl stop {self._address.name}`, start it anew, and resume.",
                {"host": self.url},
            )
        if "is not in Scheduled phase" in error.message:
            return HostError(
                "kubevirt-not-waiting",
                "This VM does not wait for a session",
                f"The VM of {self.url} is not started yet, or it runs already: a session is taken"
                " only while it is scheduled and waits for its owner.",
                f"Have it started: `virtctl start {self._address.name}`. If it runs, stop it first;"
                " what was started without this launch's session can't be launched by it.",
                {"host": self.url},
            )
        return None

    async def state(self) -> GuestState:
        """By ``query-measurement``, which KubeVirt answers for a paused VM alone.

        For one that was let run here: as it was, and running, since KubeVirt said so.
        """
        if self._resumed is not None:
            return self._resumed
        answer = await self._json("query-measurement")
        return GuestState(
            enabled=True,
            technology=Technology.SEV,
            api_major=_number(answer, "apiMajor", _U8),
            api_minor=_number(answer, "apiMinor", _U8),
            build=_number(answer, "buildID", _U8),
            state=SevState.LAUNCH_SECRET,
            policy=_number(answer, "policy", _U32),
            handle=0,
            running=False,
        )

    async def vcpu_count(self) -> int:
        """Always HostError ``host-does-not-tell``."""
        raise _does_not_tell("how many vCPUs a VM has")

    async def measurement(self) -> bytes:
        """Measure 32 followed by nonce 16, by ``query-measurement``: 48 bytes."""
        answer = await self._json("query-measurement")
        return read_measurement({"data": answer.get("measurement", "")})

    async def inject(self, packet: Packet) -> None:
        """Hand the packet over, by ``inject-secret``; it is ciphertext."""
        await self._sev(
            "inject-secret",
            *("--header", base64.b64encode(packet.header).decode()),
            *("--secret", base64.b64encode(packet.ciphertext).decode()),
            seconds=self._limits.inject_seconds,
        )

    async def resume(self) -> None:
        """Let the guest run, by ``virtctl unpause``."""
        # KubeVirt answers ``query-measurement`` for a paused VM alone: asked before.
        paused = await self.state()
        await self._virtctl("unpause", "vmi", self._address.name)
        self._resumed = replace(paused, state=SevState.RUNNING, running=True)

    async def stop(self) -> None:
        """Pause the guest's vCPUs, by ``virtctl pause``."""
        await self._virtctl("pause", "vmi", self._address.name)
        self._resumed = None

    async def attestation_report(self, nonce: bytes) -> bytes:
        """Always HostError ``host-does-not-tell``."""
        del nonce
        raise _does_not_tell("attestation reports")

    async def close(self) -> None:
        """Nothing is open."""

    async def _json(self, command: str) -> dict[str, object]:
        text = await self._sev(command)
        try:
            answer = parse_json(text, "the answer", deepest=4)
        except BadInput:
            answer = None
        if not isinstance(answer, dict):
            raise malformed(f"virtctl sev {command}", "answer", "is not a JSON object")
        return answer

    async def _sev(self, command: str, *words: str, seconds: float | None = None) -> str:
        return await self._virtctl("sev", command, self._address.name, *words, seconds=seconds)

    async def _virtctl(self, *words: str, seconds: float | None = None) -> str:
        """What it prints; nothing of it is left running when this is cancelled."""
        limit = self._limits.command_seconds if seconds is None else seconds
        command = (self._program, *words, "--namespace", self._address.namespace)
        try:
            process = await ChildProcess.start(command, _environment(), errors_apart=True)
        except OSError as fault:
            raise self._not_started(os.strerror(fault.errno or 0)) from None
        try:
            async with asyncio.timeout(limit):
                out, errors = await asyncio.gather(
                    self._read(process.stdout), self._read(process.stderr)
                )
                status = await process.wait()
        except TimeoutError:
            raise self._timed_out(words, limit) from None
        finally:
            await process.end()
        if status != 0:
            raise self._refused(words, errors)
        return out

    async def _read(self, stream: asyncio.StreamReader | None) -> str:
        """All of it, up to the limit of one message."""
        data = b""
        while stream is not None and (piece := await stream.read(1 << 16)):
            data += piece
            if len(data) > self._limits.message_bytes:
                raise malformed("virtctl", "answer", f"has more than {len(data) - 1} bytes")
        return data.decode("utf-8", "replace")

    def _refused(self, words: tuple[str, ...], errors: str) -> HostError:
        if "fw_error" in errors and "inject-secret" in words:
            return explain_refusal(Refusal(INJECT_COMMAND, "GenericError", errors))
        # virtctl ends the same way whether the cluster refused or the connection was lost.
        question, details = _arrived(words)
        return HostError(
            _REFUSED,
            "KubeVirt refused the command",
            f"{_named(words)} for {self.url} failed: “{visible(errors.strip())}”.{question}",
            "Check that the VM waits for its owner (launchSecurity.sev.attestation), and that you"
            " may use its sev subresource: `kubectl auth can-i`.",
            {"host": self.url, "command": _named(words), **details},
        )

    def _not_started(self, why: str) -> HostError:
        return HostError(
            "virtctl-failed",
            "virtctl could not be started",
            f"KubeVirt's own client could not be started for {self.url}: {why}.",
            "Check that `virtctl version --client` works here.",
            {"host": self.url, "program": "virtctl"},
        )

    def _timed_out(self, words: tuple[str, ...], seconds: float) -> HostError:
        question, details = _arrived(words)
        return HostError(
            "kubevirt-timeout",
            "The cluster does not answer",
            f"{_named(words)} for {self.url} took more than {seconds:g} seconds.{question}",
            "Check that the cluster answers: `kubectl get vmi`.",
            {"host": self.url, **details},
        )


def _arrived(words: tuple[str, ...]) -> tuple[str, dict[str, object]]:
    """What a failed command leaves open: words, and details of the error."""
    if "inject-secret" not in words:
        return "", {}
    return OPEN_QUESTION, {"packet_arrived": "unknown"}


def _named(words: tuple[str, ...]) -> str:
    """The command without its arguments: these are long, and nobody's business."""
    return " ".join(("virtctl", *words[:2]))


def _number(answer: dict[str, object], name: str, greatest: int) -> int:
    value = answer.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= greatest:
        raise malformed("virtctl sev query-measurement", name, f"is not within 0 and {greatest}")
    return value


def _does_not_tell(what: str) -> HostError:
    return HostError(
        "host-does-not-tell",
        "KubeVirt doesn't tell this",
        f"`virtctl sev` has no command for {what}.",
        "Ask the guest itself, or the node's operator.",
    )


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {**kept, "PATH": _path(), "LC_ALL": "C"}


def _path() -> str:
    own = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    return os.pathsep.join(dict.fromkeys((*own, *_SYSTEM_FOLDERS)))


if TYPE_CHECKING:

    def _is_a_host(host: KubevirtHost) -> Host:
        return host
