# SPDX-License-Identifier: Apache-2.0
"""Finds out whether a name leads anywhere, without keeping the program from ending.

asyncio waits for its own resolver threads when a program ends, however long a dead
name server takes. So the name is looked up in a thread that nobody waits for, before
the HTTP library does so: by then the answer comes at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading


async def look_up(name: str, port: int) -> None:
    """Return once the name has an address; the caller sets the time limit.

    Raises OSError (``socket.gaierror`` where the name is unknown).
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[None] = loop.create_future()

    def settle(failure: OSError | None) -> None:
        if answer.done():  # cancelled meanwhile
            return
        if failure is None:
            answer.set_result(None)
        else:
            answer.set_exception(failure)

    def ask() -> None:
        failure: OSError | None = None
        try:
            socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except OSError as error:
            failure = error
        except UnicodeError:  # a name that can't be written in the DNS
            failure = socket.gaierror(socket.EAI_NONAME, "not a name")
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, failure)

    threading.Thread(target=ask, name="resolve-key-service", daemon=True).start()
    await answer
