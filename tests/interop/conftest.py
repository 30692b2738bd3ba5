# SPDX-License-Identifier: Apache-2.0
"""What tests with other programs share: the programs, a desk with VMs, and the table of counts."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watchword.core.simulator import PlatformKeys

from ..core.launch.support import Office
from .desk import Desk
from .libvirt_daemon import LibvirtDaemon
from .libvirt_domain import Domain
from .libvirt_machine import LibvirtMachine
from .peer_validator import ModuleMissing, Validator
from .table import Counts


@pytest.fixture(scope="session")
def validator(program: Callable[[str, str], Path]) -> Iterator[Validator]:
    """libvirt's program, or a skip that names the Debian package that is missing."""
    path = program("virt-qemu-sev-validate", "libvirt-clients-qemu")
    try:
        loaded = Validator(path)
    except ModuleMissing as missing:
        program(f"Python module {missing.module} of Debian's Python", missing.package)
        raise
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def sev_snp_measure() -> Callable[[str], object]:
    """Gives the modules of sev-snp-measure by name, or skips."""
    pytest.importorskip("sevsnpmeasure", reason="no sev-snp-measure (extra `test`)")

    def module(name: str) -> object:
        with warnings.catch_warnings():
            # Its structures are declared in a way that later Pythons deprecate.
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module(f"sevsnpmeasure.{name}")

    return module


@pytest.fixture(scope="session")
def platform_keys() -> PlatformKeys:
    """A simulated machine; 2048-bit CA keys are made faster, and nothing here rests on them."""
    return PlatformKeys.generate(2048)


@pytest.fixture(scope="session")
def desk(platform_keys: PlatformKeys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for all tests: its files are made once, and its VMs differ."""
    with pytest.MonkeyPatch.context() as patch:
        # That keys are exported is recorded, and not among the records of whoever runs this.
        patch.setenv("WATCHWORD_HOME", str(tmp_path_factory.mktemp("home")))
        owner = Desk(tmp_path_factory.mktemp("desk"), platform_keys)
        yield owner
        owner.close()


@pytest.fixture(scope="session")
def compared() -> Iterator[Counts]:
    """Takes what a test compared, and holds docs/interop.md to it."""
    counts = Counts()
    yield counts
    counts.write()


@pytest.fixture(scope="module")
def libvirt_daemon(program: Callable[[str, str], Path]) -> Iterator[LibvirtDaemon]:
    """Started; a test that ends it starts it again."""
    for name, package in (
        ("virsh", "libvirt-clients"),
        ("qemu-system-x86_64", "qemu-system-x86"),
    ):
        program(name, package)
    program("libvirtd", "libvirt-daemon-driver-qemu")
    programs = [program(name, "libvirt-daemon") for name in ("libvirtd", "virtlogd")]
    with LibvirtDaemon(*programs) as running:
        yield running


@pytest.fixture(scope="module")
def libvirt_machine(
    libvirt_daemon: LibvirtDaemon, platform_keys: PlatformKeys
) -> Iterator[LibvirtMachine]:
    with LibvirtMachine(platform_keys, libvirt_daemon.folder / "bin") as running:
        libvirt_daemon.start()
        yield running


@pytest.fixture
def office(tmp_path: Path, platform_keys: PlatformKeys) -> Office:
    return Office(tmp_path, platform_keys)


@pytest.fixture
def domain(
    libvirt_daemon: LibvirtDaemon, libvirt_machine: LibvirtMachine, office: Office
) -> Iterator[Domain]:
    domain = Domain(libvirt_daemon, libvirt_machine, office)
    yield domain
    libvirt_daemon.virsh("destroy", "vm1")
    libvirt_daemon.virsh("undefine", "vm1")
    assert libvirt_machine.problems == []
