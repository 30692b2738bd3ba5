# SPDX-License-Identifier: Apache-2.0
"""Attacks on the launch itself: what is started, measured, injected, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .attack import Attack
from .secure_processor import SecureProcessor
from .substitution import altered, under_other_session
from .virtual_machine import QmpError, StartOrder, VirtualMachine

INJECT = "sev-inject-launch-secret"
MEASURE = "query-sev-launch-measure"


class WrongFirmware(Attack):
    """Another firmware runs."""

    name = "wrong-firmware"
    description = (
        "The host loads another firmware of the same size, with the same footer, in place of "
        "the owner's."
    )

    def order(self, order: StartOrder, _processor: SecureProcessor) -> StartOrder:
        """The order with one byte of the firmware's code altered."""
        return replace(order, firmware=altered(order.firmware))


class WrongKernel(Attack):
    """Another kernel is booted."""

    name = "wrong-kernel"
    description = (
        "The host boots another kernel than the owner's, and the hash of that one is measured."
    )

    def order(self, order: StartOrder, _processor: SecureProcessor) -> StartOrder:
        """The order with an altered kernel, or with one where none was ordered."""
        return replace(order, kernel=altered(order.kernel or b""), kernel_hashes=True)


class ReplayedMeasurement(Attack):
    """An old measurement is shown."""

    name = "replayed-measurement"
    description = (
        "The host answers with the measurement and nonce of an earlier launch, of another VM "
        "under another session."
    )

    def __init__(self) -> None:
        self._earlier = ""

    def order(self, order: StartOrder, processor: SecureProcessor) -> StartOrder:
        """The order as it is, after an earlier launch whose measurement is kept."""
        if order.with_sev and not self._earlier:
            before = under_other_session(order, processor, order.policy)
            machine = VirtualMachine(before, processor)
            self._earlier = machine.measurement
            machine.shut_down()
        return order

    def execute(
        self,
        _machine: VirtualMachine,
        command: str,
        _arguments: dict[str, object],
        proceed: Callable[[], object],
    ) -> object:
        """The kept measurement in place of the real one."""
        answer = proceed()
        return {"data": self._earlier} if command == MEASURE and self._earlier else answer


class ClonedLaunch(Attack):
    """The owner's blob starts a second VM."""

    name = "cloned-launch"
    description = (
        "The host starts a second VM, with a firmware of its own, from the same session; it "
        "shows the first one's measurement and injects the packet into the second."
    )

    def __init__(self) -> None:
        self.clone: VirtualMachine | None = None

    def started(self, machine: VirtualMachine) -> None:
        """Start the clone as well: the session is accepted again."""
        if machine.order.with_sev:
            hostile = replace(machine.order, firmware=altered(machine.order.firmware))
            self.clone = VirtualMachine(hostile, machine.processor)

    def execute(
        self,
        _machine: VirtualMachine,
        command: str,
        arguments: dict[str, object],
        proceed: Callable[[], object],
    ) -> object:
        """The packet goes into the clone."""
        if command != INJECT or self.clone is None:
            return proceed()
        address = arguments.get("gpa")
        self.clone.inject_secret(
            str(arguments["packet-header"]),
            str(arguments["secret"]),
            address if isinstance(address, int) else None,
        )
        return {}

    def ended(self) -> None:
        """End the clone with the VM it was made from."""
        if self.clone is not None:
            self.clone.shut_down()


class PolicyDowngrade(Attack):
    """The guest runs under a weaker policy."""

    name = "policy-downgrade"
    description = (
        "The host starts the VM with a policy that lets it read the guest's memory, under a "
        "session of its own, and says that the policy is the owner's."
    )

    def __init__(self) -> None:
        self._claimed: int | None = None

    def order(self, order: StartOrder, processor: SecureProcessor) -> StartOrder:
        """The order with policy 0 under another session."""
        if not order.with_sev:
            return order
        self._claimed = order.policy
        return under_other_session(order, processor, 0)

    def execute(
        self,
        _machine: VirtualMachine,
        command: str,
        _arguments: dict[str, object],
        proceed: Callable[[], object],
    ) -> object:
        """query-sev names the policy that was ordered."""
        answer = proceed()
        if command == "query-sev" and isinstance(answer, dict) and self._claimed is not None:
            return {**answer, "policy": self._claimed}
        return answer


class StateLies(Attack):
    """The state is not what the host says."""

    name = "state-lies"
    description = (
        "The host lets the VM run before the secret is there, and says that it still waits "
        "for the secret."
    )

    def started(self, machine: VirtualMachine) -> None:
        """Run at once."""
        machine.resume()

    def execute(
        self,
        _machine: VirtualMachine,
        command: str,
        _arguments: dict[str, object],
        proceed: Callable[[], object],
    ) -> object:
        """query-sev goes on saying launch-secret."""
        answer = proceed()
        if command == "query-sev" and isinstance(answer, dict) and answer["enabled"]:
            return {**answer, "state": "launch-secret"}
        return answer


class SaysInjectedButNot(Attack):
    """The packet is thrown away."""

    name = "says-injected-but-not"
    description = "The host throws the packet away and says that it was injected."

    def execute(
        self,
        _machine: VirtualMachine,
        command: str,
        _arguments: dict[str, object],
        proceed: Callable[[], object],
    ) -> object:
        """Success without doing anything."""
        return {} if command == INJECT else proceed()


class WrongTypes(Attack):
    """Answers have the wrong types."""

    name = "wrong-types"
    description = "The host answers with well-formed JSON in which every value has another type."

    def execute(
        self,
        _machine: VirtualMachine,
        command: str,
        _arguments: dict[str, object],
        proceed: Callable[[], object],
    ) -> object:
        """Numbers for text, text for numbers, lists for objects."""
        answer = proceed()
        return answer if command == "qmp_capabilities" else _other_type(answer)


class ErrorWithMarkup(Attack):
    """Errors carry markup and control characters."""

    name = "error-with-markup"
    description = (
        "The host answers with errors full of HTML, terminal control sequences and text that "
        "runs from right to left, to be shown to the owner."
    )
    text = (
        "<b>Success</b><img src='http://host.invalid/x'><script>alert(1)</script>"
        "\x1b[2J\x1b[31m\x07\r\nLaunch verified\n\u202egnirts desrever\u2066 \x00 &amp; {0} %s"
    )

    def execute(
        self,
        _machine: VirtualMachine,
        command: str,
        _arguments: dict[str, object],
        proceed: Callable[[], object],
    ) -> object:
        """Every SEV command fails with that text."""
        if "sev" in command:
            raise QmpError(self.text)
        return proceed()


def _other_type(value: object) -> object:
    if isinstance(value, dict):
        return {name: _other_type(part) for name, part in value.items()} or []
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return len(value)
    return {"not": "a list"}
