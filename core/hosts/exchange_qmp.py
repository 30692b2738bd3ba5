# SPDX-License-Identifier: Apache-2.0
"""QMP commands for an operator to send as they are, a line each, with the launch's id in them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from .exchange_turns import MESSAGE_ID_PREFIX


def command_lines(launch_id: str, *commands: str | tuple[str, Mapping[str, object]]) -> str:
    """The negotiation and then the commands, by name or with arguments.

    QEMU repeats the ``id`` in its answer, and so the answer names the launch.
    Source: QEMU docs/interop/qmp-spec.
    """
    lines = []
    for command in ("qmp_capabilities", *commands):
        name, arguments = command if isinstance(command, tuple) else (command, None)
        message: dict[str, object] = {"execute": name}
        if arguments is not None:
            message["arguments"] = dict(arguments)
        message["id"] = f"{MESSAGE_ID_PREFIX}{launch_id}"
        lines.append(json.dumps(message, separators=(",", ":")) + "\n")
    return "".join(lines)
