# SPDX-License-Identifier: Apache-2.0
"""The QMP client of qemu.qmp with bounds on what a peer can make it hold, do, wait for or log."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from qemu.qmp import Message, QMPClient, Runstate

from .limits import HostLimits
from .link import Link
from .message_json import parse_object
from .violations import Rule, RuleBroken

if TYPE_CHECKING:
    import socket
    from ssl import SSLContext

    from qemu.qmp.protocol import SocketAddrT


class BoundedClient(QMPClient):
    """A QMPClient for a hostile peer.

    Differences: a line, its nesting, and the number and bytes of messages between two
    commands are bounded; events are counted and dropped (the library keeps them for ever,
    twice); nothing is logged, since the library logs whole messages, and errors with the
    peer's raw bytes in them; :meth:`drop` ends the connection within a time limit; it talks
    over a :class:`Link`, whatever that is made of.
    ``broken`` is the reason why this side gave the connection up, if it did.
    """

    def __init__(self, limits: HostLimits, link: Link) -> None:
        super().__init__(None, limits.message_bytes)
        self.broken: RuleBroken | None = None
        self._link = link
        self._limits = limits
        self._messages = 0
        self._bytes = 0

    @property
    def logger(self) -> logging.Logger:
        """A logger outside logging's tree, so that no configuration can switch it on."""
        silent = logging.Logger("silent")
        silent.disabled = True
        return silent

    @logger.setter
    def logger(self, logger: logging.Logger) -> None:
        """The library sets its own one; it is not taken."""

    async def begin(self) -> None:
        """Wait for the greeting and set the session up; raises what ``connect`` does."""
        await self.connect("")  # an address is for sockets that the library opens itself

    def expect_answer(self) -> None:
        """Start counting anew: a command is about to be sent."""
        self._messages = 0
        self._bytes = 0

    async def drop(self, seconds: float) -> None:
        """Close the socket at once and see the library's tasks off, for ``seconds`` at most.

        Raises nothing of its own and may be called in any state, any number of times.
        """
        if self.runstate is Runstate.IDLE:
            return
        if self._writer is not None:
            # Without this, disconnect() waits until the peer has read what was sent.
            self._writer.transport.abort()
        ending = asyncio.create_task(self.disconnect())
        # disconnect() raises again what ended the connection: that is known already, and
        # has to be looked at, or asyncio reports it as never retrieved.
        ending.add_done_callback(_look_at_exception)
        await asyncio.wait({ending}, timeout=seconds)
        # Not disconnect() itself: it has gathered what nobody else would look at then.
        if self._dc_task is not None:
            self._dc_task.cancel()

    async def _do_connect(
        self,
        address: SocketAddrT | socket.socket,
        ssl: SSLContext | None = None,
    ) -> None:
        del address, ssl
        self._set_state(Runstate.CONNECTING)
        self._reader, self._writer = self._link.reader, self._link.writer

    def _do_send(self, msg: Message) -> None:
        super()._do_send(msg)
        if self._link.over_tls and self._writer is not None:
            # QEMU before 8 reads a TLS record only when the next one comes.
            self._writer.write(b"\n")

    async def _bh_flush_writer(self) -> None:
        # An aborted TLS transport has forgotten its protocol, and asyncio logs that.
        if self._writer is not None and not self._writer.transport.is_closing():
            await super()._bh_flush_writer()

    async def _bh_close_stream(self, error_pathway: bool = False) -> None:
        # TLS waits half a minute for the peer to take leave as well.
        if self._writer is not None:
            self._writer.transport.abort()
        await super()._bh_close_stream(error_pathway)

    async def _do_recv(self) -> Message:
        # readline() doesn't suspend while lines are buffered: without a pause here, a
        # flood would hold up every time limit.
        await asyncio.sleep(0)
        try:
            line = await self._readline()
        except ValueError:
            raise self._give_up(Rule.MESSAGE_SIZE) from None
        if not line.endswith(b"\n"):
            raise EOFError  # cut off in the middle of a message
        self._count(line)
        try:
            # Not eager: the library would turn it back into text, which nobody needs.
            return Message(parse_object(line, self._limits.json_depth), eager=False)
        except RuleBroken as error:
            raise self._give_up(error.rule) from None

    def _count(self, line: bytes) -> None:
        self._messages += 1
        self._bytes += len(line)
        too_many = self._messages > self._limits.messages_per_command
        if too_many or self._bytes > self._limits.bytes_per_command:
            raise self._give_up(Rule.FLOOD)

    async def _on_message(self, msg: Message) -> None:
        if "event" in msg:
            return
        # An answer without a name can be no answer to us; the library would fail on a list.
        if not isinstance(msg.get("id"), str):
            raise self._give_up(Rule.ANSWER_ID)
        await super()._on_message(msg)

    def _cb_inbound(self, msg: Message) -> Message:
        return msg  # the library renders each message for its log, even with the log off

    def _cb_outbound(self, msg: Message) -> Message:
        return msg

    def _give_up(self, rule: Rule) -> RuleBroken:
        # Not the one that is raised: its frames know this client, and both would stay in memory.
        self.broken = RuleBroken(rule)
        return RuleBroken(rule)


def _look_at_exception(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
