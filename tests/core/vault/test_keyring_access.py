# SPDX-License-Identifier: Apache-2.0
"""Which keyrings are let in, what their exceptions mean, and that none of them can hang us."""

from __future__ import annotations

import gc
import sys
import threading
import traceback
import types
import weakref

import jeepney.wrappers
import keyring.errors
import pytest
import secretstorage.exceptions

from watchword.core.errors import VaultError
from watchword.core.secret import Secret
from watchword.core.vault.keyring_access import Anchor, KeyringAccess
from watchword.core.vault.keyring_backends import BACKENDS, choose_backend
from watchword.core.vault.limited_thread import CallBlocked, LimitedThread

from .support import MemoryBackend, memory_access, revealed

USER = "0" * 32
KEY = bytes(range(32))


def code_of(call, *arguments, **options):
    with pytest.raises(VaultError) as caught:
        call(*arguments, **options)
    return caught.value.code


class DBusErrorResponse(Exception):
    """As D-Bus's own errors come, with a name in them."""


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (keyring.errors.NoKeyringError("No recommended backend"), "absent"),
        (secretstorage.exceptions.SecretServiceNotAvailableException("gone"), "absent"),
        (ConnectionRefusedError(), "absent"),
        (FileNotFoundError(2, "No such file"), "absent"),
        (DBusErrorResponse("org.freedesktop.DBus.Error.ServiceUnknown"), "absent"),
        (ModuleNotFoundError("keyring"), "absent"),
        (keyring.errors.KeyringLocked("Failed to unlock the collection!"), "locked"),
        (secretstorage.exceptions.LockedException("Collection is locked!"), "locked"),
        (secretstorage.exceptions.PromptDismissedException("Prompt dismissed."), "locked"),
        (keyring.errors.InitError("Failed to create: Prompt dismissed.."), "locked"),
        (keyring.errors.PasswordSetError("Cancelled by user"), "locked"),
        (secretstorage.exceptions.ItemNotFoundException("Item does not exist!"), "key-missing"),
        (keyring.errors.InitError("anything else"), "broken"),
        (keyring.errors.PasswordSetError("anything else"), "broken"),
        (keyring.errors.KeyringError(), "broken"),
        (EOFError(), "broken"),
        (ConnectionResetError(), "broken"),
        (RuntimeError("marker of a secret"), "broken"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "broken"),
        (SystemExit(3), "broken"),
        (KeyboardInterrupt(), "broken"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_every_foreign_exception_is_one_of_four(backend, access, fault, code):
    def fails(*arguments):
        raise fault

    backend.get_password = fails
    with pytest.raises(VaultError) as caught:
        access.read_key("Memory", USER)
    assert caught.value.code == f"keyring-{code}"
    told = "".join(traceback.format_exception(caught.value))
    assert "marker of a secret" not in told
    assert caught.value.__context__ is None


def test_deleting_what_is_not_there_is_no_error(backend, access):
    def fails(service, user):
        raise keyring.errors.PasswordDeleteError("No such password!")

    backend.delete_password = fails
    access.delete("Memory", USER)


def test_a_key_is_read_once_per_process(backend, access):
    access.write_key("Memory", USER, Secret(KEY))
    access.close()
    fresh = memory_access(backend)
    before = len(backend.calls)
    for _ in range(3):
        assert revealed(fresh.read_key("Memory", USER)) == KEY
    assert len(backend.calls) == before + 1
    fresh.read_key("Memory", USER, again=True)
    assert len(backend.calls) == before + 2
    fresh.close()


def test_a_key_is_43_characters_of_base64url(backend, access):
    access.write_key("Memory", USER, Secret(b"\xff" * 32))
    assert backend.items == {("watchword", USER): "_" * 42 + "8"}


@pytest.mark.parametrize("text", ["", "A", "A" * 42, "A" * 44, "!" * 43, "ä" * 43, "A" * 5000])
def test_what_is_no_key_is_a_broken_keyring(backend, access, text):
    backend.items["watchword", USER] = text
    assert code_of(access.read_key, "Memory", USER) == "keyring-broken"


def test_a_keyring_that_forgets_at_once_is_broken(backend, access):
    backend.set_password = lambda *arguments: None  # as the null back end does
    assert code_of(access.write_key, "Memory", USER, Secret(KEY)) == "keyring-broken"


def test_anchors_come_back(access):
    assert access.read_anchor("Memory", USER) is None
    access.write_anchor("Memory", USER, Anchor(7, "head"))
    assert access.read_anchor("Memory", USER) == Anchor(7, "head")


def test_a_call_that_blocks_ends_at_the_limit_and_the_next_at_once(backend, monkeypatch):
    never = threading.Event()
    asked = []

    def blocks(service, user):
        asked.append(user)
        never.wait(60)
        return "A" * 43

    backend.get_password = blocks
    access = memory_access(backend, limit=0.05)
    try:
        assert code_of(access.read_key, "Memory", USER) == "keyring-blocked"
        monkeypatch.setattr(access._thread, "_jobs", None)  # nothing more is even asked
        assert code_of(access.read_anchor, "Memory", USER) == "keyring-blocked"
        monkeypatch.undo()
        assert asked == [USER]
    finally:
        access.close()
        never.set()
        wait_for_threads()


def test_an_answer_that_comes_too_late_is_not_kept():
    never = threading.Event()
    thread = LimitedThread("watchword-late", 0.05)
    kept = []

    def late():
        never.wait(60)
        answer = Answer()
        kept.append(weakref.ref(answer))
        return answer

    with pytest.raises(CallBlocked):
        thread.call(late)
    runs = thread._thread
    thread.close()
    never.set()
    runs.join(10)
    assert kept[0]() is None


def test_what_a_failed_call_held_is_gone_with_its_fault():
    thread = LimitedThread("watchword-fails", 20)
    held = []

    def fails():
        key = Answer()
        held.append(weakref.ref(key))
        raise ZeroDivisionError

    gc.disable()
    try:
        with pytest.raises(ZeroDivisionError) as caught:
            thread.call(fails)
        del caught
        assert held[0]() is None
    finally:
        gc.enable()
        thread.close()


class Answer:
    """Something that may be referred to weakly, as bytes may not."""


def test_calls_run_in_one_thread_and_not_in_ours(backend, access):
    seen = set()
    backend.get_password = lambda *arguments: seen.add(threading.current_thread())
    for user in ("a", "b"):
        access.read_key("Memory", user)
    (thread,) = seen
    assert thread.daemon
    assert thread is not threading.current_thread()
    access.close()
    thread.join(10)
    assert not thread.is_alive()


def wait_for_threads():
    for thread in threading.enumerate():
        if thread.name == "watchword-keyring":
            thread.join(10)


REFUSED = [
    "keyring.backends.null.Keyring",
    "keyring.backends.fail.Keyring",
    "keyring.backends.chainer.ChainerBackend",
    "keyring.backends.libsecret.Keyring",
    "keyrings.alt.file.PlaintextKeyring",
    "keyrings.alt.file.EncryptedKeyring",
    "os.system",
    "junk",
]


@pytest.mark.parametrize("name", REFUSED)
def test_other_back_ends_are_refused_and_not_even_loaded(monkeypatch, name):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", name)
    access = KeyringAccess()
    loaded = set(sys.modules)
    with pytest.raises(VaultError) as caught:
        access.name()
    access.close()
    assert caught.value.code == "keyring-refused"
    assert name in caught.value.message
    assert "PYTHON_KEYRING_BACKEND" in caught.value.message
    assert "passphrase" in caught.value.remedy
    assert not {n for n in set(sys.modules) - loaded if n.startswith("keyring")}


@pytest.mark.parametrize("name", REFUSED)
def test_other_back_ends_in_the_configuration_file_are_refused(monkeypatch, tmp_path, name):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("keyring.util.platform_.config_root", lambda: tmp_path)
    (tmp_path / "keyringrc.cfg").write_text(f"[backend]\ndefault-keyring={name}\n")
    with pytest.raises(VaultError) as caught:
        choose_backend(None)
    assert caught.value.code == "keyring-refused"
    assert "keyringrc.cfg" in caught.value.message


@pytest.mark.parametrize(
    "text", ["", "[backend]\n", "junk", "[backend]\ndefault-keyring=\n", "\xff"]
)
def test_a_configuration_file_that_names_nothing_is_no_choice(monkeypatch, tmp_path, text):
    monkeypatch.setattr("keyring.util.platform_.config_root", lambda: tmp_path)
    (tmp_path / "keyringrc.cfg").write_text(text, encoding="latin-1")
    assert code_of(choose_backend, None) == "keyring-absent"


def test_a_name_from_the_environment_cannot_move_the_terminal(monkeypatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "\x1b[2J" + "a" * 500)
    with pytest.raises(VaultError) as caught:
        choose_backend(None)
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 300


def test_a_back_end_that_is_wanted_and_not_there_is_named():
    with pytest.raises(VaultError) as caught:
        choose_backend("KWallet")
    assert caught.value.code == "keyring-absent"
    assert "KWallet" in caught.value.message
    assert code_of(choose_backend, "Junk") == "keyring-absent"


def test_of_several_usable_back_ends_the_best_is_taken(monkeypatch):
    for name, priority in (("one", 4.9), ("two", 5.1)):
        module = types.ModuleType(f"fake_{name}")
        module.Keyring = type("Keyring", (MemoryBackend,), {"priority": priority})
        monkeypatch.setitem(sys.modules, f"fake_{name}", module)
    fakes = {"SecretService": "fake_one.Keyring", "KWallet": "fake_two.Keyring"}
    for name in list(BACKENDS):
        monkeypatch.setitem(BACKENDS, name, fakes.get(name, "nothing.Keyring"))
    assert choose_backend(None)[0] == "KWallet"
    assert choose_backend("SecretService")[0] == "SecretService"


def test_the_class_of_d_bus_errors_is_still_called_so():
    # The mapping goes by names: this fails when a library renames its classes.
    assert jeepney.wrappers.DBusErrorResponse.__name__ == "DBusErrorResponse"
