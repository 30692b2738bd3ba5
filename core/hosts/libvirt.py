# SPDX-License-Identifier: Apache-2.0
"""LibvirtHost: the Host that is a domain of a libvirt daemon, reached through virsh."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from ..errors import HostError, UsageError
from . import libvirt_errors as failures
from .closing import Closing
from .command_errors import Refusal, explain_refusal, state_forbids
from .connection_errors import INJECT_COMMAND
from .libvirt_replies import (
    read_domains,
    read_launch_security,
    read_monitor_answer,
    read_node,
    read_running,
    read_sev_platform,
    read_vcpus,
)
from .libvirt_url import LibvirtAddress
from .limits import DEFAULT_LIMITS, HostLimits
from .protocol import (
    NONCE_BYTES,
    GuestRow,
    GuestState,
    NodeAnswer,
    PlatformAnswer,
    SevState,
    StartOrder,
)
from .replies import read_report
from .virsh import Virsh

if TYPE_CHECKING:
    from ..handover.vm_order import SevOptions
    from ..sev.secret_packet import Packet
    from .protocol import DomainTeller, GuestLister, GuestStarter, Host, NodeTeller

_REPORT: Final = "query-sev-attestation-report"
_SECURE: Final = "--security-info"
_XML: Final = "the domain's XML"


class LibvirtHost(Closing):
    """One connection to a daemon, and the domain of its address.

    Made by :meth:`connect`; an async context manager that closes the connection. Calls raise
    HostError (exit 4) and end within the limits. libvirt doesn't tell where a launch stands:
    a paused domain counts as waiting for its secret, and the secure processor refuses the
    packet if it isn't. Source: libvirt docs/manpages/virsh, kbase/launch_security_sev.
    """

    def __init__(
        self, virsh: Virsh, address: LibvirtAddress, limits: HostLimits, resources: AsyncExitStack
    ) -> None:
        """Take over a running virsh; use :meth:`connect`."""
        self._virsh = virsh
        self._address = address
        self._limits = limits
        self._resources = resources
        self._domain: str | None = None

    @classmethod
    async def connect(cls, address: LibvirtAddress, limits: HostLimits = DEFAULT_LIMITS) -> Self:
        """Reach the daemon. Raises HostError as in libvirt_errors.py, and ssh's own."""
        async with AsyncExitStack() as resources:
            tunnel = await open_tunnel(address, limits, resources)
            virsh = await Virsh.start(address.uri(tunnel), address.url, limits)
            resources.push_async_callback(virsh.close)
            host = cls(virsh, address, limits, resources.pop_all())
        try:
            seconds = limits.connect_seconds + limits.greeting_seconds
            await host._ask("uri", seconds=seconds)
        except BaseException:
            await host.close()
            raise
        return host

    @property
    def url(self) -> str:
        """Where the host is."""
        return self._address.url

    async def platform(self) -> PlatformAnswer:
        """PDH, certificate chain and chip id, by ``nodesevinfo``."""
        return read_sev_platform(await self._ask("nodesevinfo"))

    async def node(self) -> NodeAnswer:
        """How many encrypted guests fit, by ``nodesevinfo``."""
        return read_node(await self._ask("nodesevinfo"))

    async def guests(self) -> tuple[GuestRow, ...]:
        """The domains that there are, started or not."""
        rows = await self._ask("list", "--all", "--uuid", "--name")
        return read_domains(rows)

    async def domain_xml(self) -> str:
        """The domain's XML as it is defined, or as it runs; hostile, at most 1 MiB."""
        return await self._ask("dumpxml", await self._id(), _SECURE)

    async def defined_xml(self) -> str:
        """The domain's XML as it will be started; hostile, at most 1 MiB."""
        return await self._ask("dumpxml", await self._id(), "--inactive", _SECURE)

    async def define(self, text: str) -> None:
        """Have the daemon keep this XML of the domain for its next start; nothing is started."""
        with _files(domain=text.encode()) as paths:
            await self._ask("define", paths["domain"])

    async def state(self) -> GuestState:
        """By ``domlaunchsecinfo`` and ``domstate``. Raises HostError ``sev-not-enabled``."""
        domain = await self._id()
        running = read_running(await self._ask("domstate", domain), self.url)
        info = read_launch_security(await self._ask("domlaunchsecinfo", domain), self.url)
        return info.state(running=running)

    async def vcpu_count(self) -> int:
        """The number of vCPUs, by ``vcpucount``."""
        return read_vcpus(await self._ask("vcpucount", await self._id(), "--live", "--current"))

    async def measurement(self) -> bytes:
        """Measure 32 followed by nonce 16, by ``domlaunchsecinfo``: 48 bytes."""
        info = await self._ask("domlaunchsecinfo", await self._id())
        return read_launch_security(info, self.url).measurement

    async def inject(self, packet: Packet) -> None:
        """Hand the packet over, by ``domsetlaunchsecstate``; it is ciphertext, in two files."""
        if (await self.state()).state is not SevState.LAUNCH_SECRET:
            raise state_forbids("injecting a secret", SevState.RUNNING)
        header, secret = map(base64.b64encode, (packet.header, packet.ciphertext))
        with _files(header=header, secret=secret) as paths:
            await self._ask(
                "domsetlaunchsecstate",
                await self._id(),
                *("--secrethdr", paths["header"], "--secret", paths["secret"]),
                seconds=self._limits.inject_seconds,
            )

    async def resume(self) -> None:
        """Let the guest run, by ``resume``."""
        await self._ask("resume", await self._id())

    async def stop(self) -> None:
        """Pause the guest's vCPUs, by ``suspend``."""
        await self._ask("suspend", await self._id())

    async def attestation_report(self, nonce: bytes) -> bytes:
        """The PEK-signed report of 208 bytes, by QEMU's monitor: libvirt has no call of its own.

        libvirt marks the domain as one whose monitor was used.
        """
        if len(nonce) != NONCE_BYTES:
            raise UsageError(
                "bad-nonce",
                "The nonce has the wrong length",
                f"It has {len(nonce)} bytes instead of {NONCE_BYTES}.",
                f"Give {NONCE_BYTES} random bytes.",
            )
        arguments = {"mnonce": base64.b64encode(nonce).decode("ascii")}
        command = json.dumps({"execute": _REPORT, "arguments": arguments}, separators=(",", ":"))
        text = await self._ask("qemu-monitor-command", await self._id(), command)
        answer = read_monitor_answer(text)
        if isinstance(answer, Refusal):
            raise explain_refusal(answer)
        return read_report(answer)

    async def start(self, order: StartOrder) -> None:
        """Start the domain paused, with this launch's certificate, blob and policy.

        All else is as the domain has it; the measurement tells whether that is what was
        approved. One that is started with them already is left as it is. Raises HostError
        ``libvirt-domain-runs`` for one that is started with others.
        """
        from ..handover.libvirt_domain import secured_domain  # noqa: PLC0415 - XML, only here
        from ..handover.vm_order import SevOptions  # noqa: PLC0415 - as above

        domain = await self._id()
        sev = SevOptions(
            godh=order.owner_dh_certificate,
            blob=order.launch_blob,
            policy=order.policy,
            kernel_hashes=order.kernel_hashes,
        )
        if (await self._ask("domstate", domain)).strip() != "shut off":
            if await self._is_started_with(sev):
                return  # by this launch, before it was interrupted, or by the operator
            raise _runs_already(self.url)
        text = secured_domain(sev, await self.defined_xml(), _XML)
        seconds = self._limits.inject_seconds
        with _files(domain=text.encode()) as paths:
            await self._ask("create", paths["domain"], "--paused", seconds=seconds)

    async def _is_started_with(self, sev: SevOptions) -> bool:
        from ..handover.domain_differences import (  # noqa: PLC0415 - XML, only here
            launch_security_differences,
        )
        from ..handover.domain_xml import parse_domain  # noqa: PLC0415 - as above

        return not any(
            launch_security_differences(parse_domain(await self.domain_xml(), _XML), sev)
        )

    async def close(self) -> None:
        """End virsh and the tunnel; may be called again; never raises."""
        await self._resources.aclose()

    async def _id(self) -> str:
        """The domain's UUID, looked for by name among those that there are."""
        if self._domain is None:
            wanted = self._address.domain
            if wanted is None:
                raise failures.no_domain_named(self.url)
            rows = await self.guests()
            found = [row.uuid for row in rows if wanted in (row.name, row.uuid)]
            if not found:
                refused = failures.VirshRefused("list", ["Domain not found"])
                raise failures.explain_virsh(refused, self.url)
            self._domain = found[0]
        return self._domain

    async def _ask(self, *words: str, seconds: float | None = None) -> str:
        refusal: failures.VirshRefused
        try:
            return await self._virsh.run(*words, seconds=seconds)
        except failures.VirshRefused as refused:
            refusal = refused
        except BaseException:
            # Out of time, broken or cancelled: an answer may still come, and for another question.
            await self.close()
            raise
        if words[0] == "domsetlaunchsecstate" and "fw_error" in refusal.words:
            raise explain_refusal(Refusal(INJECT_COMMAND, "GenericError", refusal.words))
        raise failures.explain_virsh(refusal, self.url)


@contextmanager
def _files(**contents: bytes) -> Iterator[dict[str, str]]:
    """Files for virsh to read, in a folder of their own for as long as it takes; no secrets."""
    with tempfile.TemporaryDirectory(prefix="watchword-") as folder:
        paths = {name: Path(folder, name) for name in contents}
        for name, path in paths.items():
            path.write_bytes(contents[name])
        yield {name: str(path) for name, path in paths.items()}


async def open_tunnel(
    address: LibvirtAddress, limits: HostLimits, resources: AsyncExitStack
) -> str | None:
    """The near end of a tunnel to the daemon's socket; None where none is needed."""
    there = address.through_ssh
    if there is None:
        return None
    from .ssh_link import Tunnel  # noqa: PLC0415 - for this transport alone

    tunnel = Tunnel(there, limits)
    resources.callback(tunnel.close)
    (await tunnel.connect()).close()
    return tunnel.path


def _runs_already(url: str) -> HostError:
    return HostError(
        "libvirt-domain-runs",
        "The VM is started already",
        f"The domain of {url} is not shut off, and a launch begins with its start.",
        "Have it shut down first, or complete the launch that it was started for.",
        {"host": url},
    )


if TYPE_CHECKING:

    def _is_a_host(
        host: LibvirtHost,
    ) -> tuple[Host, GuestStarter, NodeTeller, GuestLister, DomainTeller]:
        return host, host, host, host, host
