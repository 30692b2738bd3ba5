# SPDX-License-Identifier: Apache-2.0
"""The connections to the queue's PostgreSQL: lost ones are waited for, and made anew."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .ending_tasks import keep_cancelled
from .queue_errors import database_words, no_driver, nonsense, unreachable

if TYPE_CHECKING:
    from procrastinate.manager import JobManager
    from procrastinate.psycopg_connector import PsycopgConnector

_T = TypeVar("_T")
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_CONNECTIONS: Final = 4
_ANSWER_SECONDS: Final = 30.0
_NONSENSE: Final = (KeyError, IndexError, ValueError, TypeError, AttributeError)
_MOST_NONSENSE: Final = 5
_FOREIGN_KEY: Final = "23503"
_RAISED: Final = "P0001"
# Their messages hold the statements' arguments.
_LOGGERS: Final = ("procrastinate", "psycopg", "psycopg.pool")


class QueueConnection:
    """A few connections, for one event loop. ``on_open`` is awaited after each loss, first."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = dict(parameters)
        self._connector: PsycopgConnector | None = None
        self._opening = asyncio.Lock()
        self._lost = False
        self.on_open: Callable[[JobManager], Awaitable[None]] | None = None

    @classmethod
    async def open(cls, parameters: Mapping[str, str]) -> QueueConnection:
        """Connect for the first time: here an absent server is an error, and not waited for.

        Raises HostError ``queue-unreachable`` or ``queue-not-made``, UsageError
        ``no-queue-driver``.
        """
        try:
            import psycopg  # noqa: PLC0415 - an extra, and slow to import
            from procrastinate import exceptions  # noqa: PLC0415 - as above
        except ImportError:
            raise no_driver() from None
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        connection = cls(parameters)
        try:
            await connection.connected()
        except (psycopg.Error, exceptions.ConnectorException, TimeoutError) as fault:
            raise unreachable(fault.__cause__ or fault) from None  # type: ignore[arg-type]
        return connection

    async def close(self) -> None:
        """Close them; a server that is gone is not waited for."""
        connector, self._connector = self._connector, None
        if connector is not None:
            await _close(connector)

    async def execute(self, statement: str, **values: Any) -> None:
        """Run a statement, as :meth:`do` does."""
        await self.do(lambda manager: manager.connector.execute_query_async(statement, **values))

    async def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """The rows that a statement gives, as :meth:`do` does."""
        return await self.do(
            lambda manager: manager.connector.execute_query_all_async(statement, **values)
        )

    async def do(
        self,
        action: Callable[[JobManager], Awaitable[_T]],
        *,
        already: Callable[[BaseException | None], bool] = lambda _: False,
    ) -> _T:
        """Do it, once more after each loss of the connection, with pauses up to 5 s.

        ``already`` tells of a fault that what was asked for is done: the last time did it,
        and only its answer was lost; then there is no result. Raises HostError
        ``queue-refused`` or ``queue-not-made``.
        """
        import psycopg  # noqa: PLC0415 - an extra, and slow to import
        from procrastinate.exceptions import (  # noqa: PLC0415 - as above
            AlreadyEnqueued,
            ConnectorException,
        )

        pause, strange = _FIRST_PAUSE, 0
        while True:
            connector = None
            try:
                connector = await self.connected()
                # Not wait_for: Python 3.11's loses a cancellation that comes with the answer.
                async with asyncio.timeout(_ANSWER_SECONDS):
                    done = await action(_manager(connector))
                keep_cancelled()
            except AlreadyEnqueued:
                raise
            except (ConnectorException, psycopg.Error, TimeoutError) as fault:
                cause = fault if isinstance(fault, psycopg.Error) else fault.__cause__
                if already(cause):
                    return None  # type: ignore[return-value]
                if _is_refusal(cause):
                    raise database_words(cause or fault) from None
                strange += getattr(cause, "sqlstate", None) == _FOREIGN_KEY
            except _NONSENSE:
                strange += 1
            else:
                return done
            if strange > _MOST_NONSENSE:
                raise nonsense()
            await self._drop(connector)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def connected(self) -> PsycopgConnector:
        """The connections, made anew where they were lost; raises what the driver raises."""
        async with self._opening:
            if self._connector is None:
                connector = await _open(self._parameters)
                if self._lost and self.on_open is not None:
                    try:
                        async with asyncio.timeout(_ANSWER_SECONDS):
                            await self.on_open(_manager(connector))
                    except BaseException:
                        await _close(connector)
                        raise
                self._connector, self._lost = connector, False
            return self._connector

    async def _drop(self, connector: PsycopgConnector | None) -> None:
        """Let go of what failed, unless somebody else has done so already."""
        if connector is not None and connector is self._connector:
            self._connector, self._lost = None, True
            await _close(connector)


async def listen(connection: QueueConnection, channel: str, bell: asyncio.Event) -> None:
    """Ring at each notification on a channel, and after each loss of the connection."""
    import psycopg  # noqa: PLC0415 - an extra, and slow to import
    from procrastinate.exceptions import ConnectorException  # noqa: PLC0415 - as above

    async def ring(*, channel: str, payload: str) -> None:
        del channel, payload
        bell.set()

    pause = _FIRST_PAUSE
    while True:
        bell.set()
        with contextlib.suppress(ConnectorException, psycopg.Error, TimeoutError, *_NONSENSE):
            connector = await connection.connected()
            pause = _FIRST_PAUSE
            await connector.listen_notify(ring, [channel])
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def is_gone(fault: BaseException | None) -> bool:
    """Whether PostgreSQL says that a job which was to be finished is finished."""
    return getattr(fault, "sqlstate", None) == _RAISED


def _is_refusal(fault: BaseException | None) -> bool:
    """Whether waiting would mend nothing: what was said is neither loss, nor a lack of room."""
    import psycopg  # noqa: PLC0415 - an extra, and slow to import

    if isinstance(fault, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    state = getattr(fault, "sqlstate", None)
    return state is not None and state != _FOREIGN_KEY


async def _open(parameters: Mapping[str, str]) -> PsycopgConnector:
    """Connections that work; a pool alone would try for half a minute before it tells."""
    import psycopg  # noqa: PLC0415 - an extra, and slow to import
    from procrastinate.psycopg_connector import PsycopgConnector  # noqa: PLC0415 - as above

    probe = await psycopg.AsyncConnection.connect(**parameters)  # type: ignore[arg-type]
    await probe.close()
    connector = PsycopgConnector(
        kwargs=dict(parameters), min_size=1, max_size=_CONNECTIONS, timeout=_ANSWER_SECONDS
    )
    try:
        await connector.open_async()
        keep_cancelled()
    except BaseException:
        await _close(connector)
        raise
    return connector


async def _close(connector: PsycopgConnector) -> None:
    import psycopg  # noqa: PLC0415 - an extra, and slow to import
    from procrastinate.exceptions import ConnectorException  # noqa: PLC0415 - as above

    with contextlib.suppress(ConnectorException, psycopg.Error, TimeoutError):
        await connector.close_async()


def _manager(connector: PsycopgConnector) -> JobManager:
    from procrastinate.manager import JobManager  # noqa: PLC0415 - an extra

    return JobManager(connector)
