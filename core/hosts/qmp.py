# SPDX-License-Identifier: Apache-2.0
"""QmpHost: the Host that is a QEMU, reached over its QMP socket; one object, one connection."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Self

from qemu.qmp import ConnectError, ExecuteError, QMPError, Runstate
from qemu.qmp.qmp_client import BadReplyError

from ..errors import HostError, UsageError
from . import connection_errors as failures
from . import replies
from .bounded_client import BoundedClient
from .closing import Closing
from .command_errors import Refusal, explain_refusal, state_forbids
from .kubevirt_url import KubevirtAddress
from .libvirt_url import LibvirtAddress
from .limits import DEFAULT_LIMITS, HostLimits
from .link import Link
from .protocol import NONCE_BYTES, GuestState, PlatformAnswer, SevState
from .reach import reach
from .urls import ExchangeAddress, HostAddress, QmpAddress
from .violations import Rule

if TYPE_CHECKING:
    from ..sev.secret_packet import Packet
    from .protocol import Host

_MEASURED: Final = frozenset({SevState.LAUNCH_SECRET, SevState.RUNNING})


class QmpHost(Closing):
    """One QMP connection to the QEMU that runs the guest.

    Made by :meth:`connect`; an async context manager that closes the connection. Every
    call raises HostError (exit 4), and ends within the limit that the error states.
    After a time-out, a broken rule, a lost peer or a cancelled call the connection is
    done with: the socket is closed, and later calls raise the same kind of error.
    Source: QEMU qapi/misc-target.json and target/i386/sev.c.
    """

    def __init__(
        self, client: BoundedClient, link: Link, address: QmpAddress, limits: HostLimits
    ) -> None:
        """Take over a connected client and its link; use :meth:`connect`."""
        self._client = client
        self._link = link
        self._address = address
        self._limits = limits
        self._ended: Callable[[], HostError] | None = None

    @classmethod
    async def connect(cls, address: HostAddress, limits: HostLimits = DEFAULT_LIMITS) -> Self:
        """Reach the socket, wait for the greeting, negotiate.

        Ends within ``connect_seconds`` plus ``greeting_seconds``, over SSH within those and
        ``tunnel_seconds``. Raises HostError:
        ``host-socket-missing``, ``host-permission-denied``, ``host-refused-connection``,
        ``host-name-unknown``, ``host-unreachable``, ``host-connect-timeout``,
        ``host-socket-busy``, ``host-not-qmp``, ``host-closed-connection``, ``host-timeout``,
        ``host-message-too-large``, ``host-message-too-deep``, and those of ssh_errors.py and
        tls_errors.py. Raises UsageError ``host-not-by-qmp`` for a host that is reached by
        hand, and BadInput for certificates that can't be used.
        """
        if isinstance(address, ExchangeAddress | LibvirtAddress | KubevirtAddress):
            raise _by_hand_only(address)
        # The library logs whole messages at DEBUG. Our client logs nothing; this is for
        # a program that uses the library next to us.
        logging.getLogger("qemu.qmp").setLevel(logging.WARNING)
        link = await reach(address, limits)
        client = BoundedClient(limits, link)
        try:
            failure = await _negotiated(client, address, limits)
            if failure is None:
                return cls(client, link, address, limits)
            failure = await link.explain(failure)
        finally:
            if client.runstate is not Runstate.RUNNING:
                link.close()
        raise failure

    @property
    def url(self) -> str:
        """Where the host is."""
        return self._address.url

    async def platform(self) -> PlatformAnswer:
        """PDH, certificate chain and chip id, by ``query-sev-capabilities``."""
        return replies.read_platform(await self._command("query-sev-capabilities"))

    async def state(self) -> GuestState:
        """The guest's state, by ``query-sev`` and ``query-status``.

        Raises HostError ``sev-not-enabled`` or ``guest-is-sev-snp`` for another kind of guest.
        """
        sev = await self._command("query-sev")
        return replies.read_guest_state(sev, await self._command("query-status"))

    async def vcpu_count(self) -> int:
        """The number of vCPUs, by ``query-cpus-fast``."""
        return replies.read_vcpu_count(await self._command("query-cpus-fast"))

    async def measurement(self) -> bytes:
        """Read measure 32 followed by nonce 16, by ``query-sev-launch-measure``: 48 bytes.

        Raises HostError ``guest-state-forbids`` while the guest is still being loaded.
        """
        state = (await self.state()).state
        if state not in _MEASURED:
            raise state_forbids("reading the measurement", state)
        return replies.read_measurement(await self._command("query-sev-launch-measure"))

    async def inject(self, packet: Packet) -> None:
        """Hand the packet to the secure processor, by ``sev-inject-launch-secret``.

        Raises HostError: ``guest-state-forbids`` (nothing was sent), ``injection-refused``
        with the firmware's number, ``no-secret-area``. An error whose details have
        ``packet_arrived: unknown`` leaves that open: the same packet may be sent again.
        """
        state = (await self.state()).state
        if state is not SevState.LAUNCH_SECRET:
            raise state_forbids("injecting a secret", state)
        arguments = {
            "packet-header": base64.b64encode(packet.header).decode("ascii"),
            "secret": base64.b64encode(packet.ciphertext).decode("ascii"),
        }
        command = failures.INJECT_COMMAND
        answer = await self._command(command, arguments, self._limits.inject_seconds)
        replies.expect_empty(command, answer)

    async def resume(self) -> None:
        """Let the guest run, by ``cont``; QEMU finishes the launch with that."""
        replies.expect_empty("cont", await self._command("cont"))

    async def stop(self) -> None:
        """Pause the guest's vCPUs, by ``stop``."""
        replies.expect_empty("stop", await self._command("stop"))

    async def attestation_report(self, nonce: bytes) -> bytes:
        """The PEK-signed report of 208 bytes, by ``query-sev-attestation-report``.

        ``nonce`` has 16 bytes (UsageError otherwise). Needs QEMU 6.1 and firmware API 0.18.
        """
        if len(nonce) != NONCE_BYTES:
            raise UsageError(
                "bad-nonce",
                "The nonce has the wrong length",
                f"It has {len(nonce)} bytes instead of {NONCE_BYTES}.",
                f"Give {NONCE_BYTES} random bytes.",
            )
        arguments = {"mnonce": base64.b64encode(nonce).decode("ascii")}
        return replies.read_report(await self._command("query-sev-attestation-report", arguments))

    async def close(self) -> None:
        """Close the connection within ``close_seconds``; may be called again; never raises."""
        await self._end(failures.closed_by_us(self._address))

    async def _command(
        self,
        name: str,
        arguments: Mapping[str, object] | None = None,
        seconds: float | None = None,
    ) -> object:
        """QEMU's answer to one command; whatever keeps it from coming is a HostError.

        The errors are raised outside the except blocks, so that not even ``__context__``
        leads to the library's errors: those hold the command that was sent.
        """
        if self._ended is not None:
            raise self._ended()
        limit = self._limits.command_seconds if seconds is None else seconds
        refusal: Refusal | None = None
        failure: HostError
        try:
            self._client.expect_answer()
            async with asyncio.timeout(limit):
                return await self._client.execute(name, arguments)
        except ExecuteError as error:
            refusal = Refusal(name, error.error_class, str(error))
        except BadReplyError:
            failure = failures.rule_broken(self._address, Rule.ANSWER_SHAPE, name, self._limits)
        except TimeoutError:
            failure = failures.command_timed_out(self._address, name, limit)
        except (QMPError, OSError, EOFError):
            failure = self._lost(name)
        except asyncio.CancelledError:
            # The answer may still come and would be taken for the next one's.
            await self._end(failures.cancelled_during(self._address, name))
            raise
        if refusal is not None:
            raise explain_refusal(refusal)
        failure = await self._link.explain(failure)
        await self._end(failure)
        raise failure

    def _lost(self, command: str) -> HostError:
        broken = self._client.broken
        if broken is None:
            return failures.closed_during(self._address, command)
        return failures.rule_broken(self._address, broken.rule, command, self._limits)

    async def _end(self, reason: HostError) -> None:
        """Give the connection up for the first reason there was."""
        # Not the reason itself: it is raised, and its frames know this host.
        self._ended = self._ended or failures.done_with(self._address, reason)
        try:
            await self._client.drop(self._limits.close_seconds)
        finally:
            self._link.close()


async def _negotiated(
    client: BoundedClient, address: QmpAddress, limits: HostLimits
) -> HostError | None:
    """Why a link that is open gave no session; None where it did."""
    try:
        async with asyncio.timeout(limits.greeting_seconds):
            await client.begin()
    except TimeoutError:
        greeted = client.greeting is not None
        explain = failures.negotiation_timed_out if greeted else failures.no_greeting
        return explain(address, limits.greeting_seconds)
    except (QMPError, OSError, EOFError) as error:
        return _no_session(client, address, limits, error)
    return None


def _by_hand_only(
    address: ExchangeAddress | LibvirtAddress | KubevirtAddress,
) -> UsageError:
    return UsageError(
        "host-not-by-qmp",
        "This needs a connection to the host",
        f"{address.url} is a folder that is carried by hand; nobody answers there at once.",
        "Name the VM's QMP socket (qmp+unix: or qmp+tcp:), or make a launch with that folder.",
    )


def _no_session(
    client: BoundedClient, address: QmpAddress, limits: HostLimits, error: Exception
) -> HostError:
    """Why a reached socket gave no session; ``error`` is the library's."""
    broken = client.broken
    if broken is not None and broken.rule is not Rule.JSON:
        return failures.rule_broken(address, broken.rule, "", limits)
    cause = error.exc if isinstance(error, ConnectError) else error
    if isinstance(cause, EOFError | OSError):
        return failures.closed_before_greeting(address)
    return failures.not_qmp(address)


if TYPE_CHECKING:

    def _is_a_host(host: QmpHost) -> Host:
        return host
