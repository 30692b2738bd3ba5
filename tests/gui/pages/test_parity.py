# SPDX-License-Identifier: Apache-2.0
"""Whatever the command line can do with vault, ledger, evidence and guests, the window can too.

The tables say where; a new word or option of the command line fails here until somebody
has given it a place in the window, or said why it has none.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect

import pytest

from watchword.core.cli.main import build_parser

PAGES = "watchword.gui.pages."
SERVICE = "vault_service:VaultService"
GIVEN = "vault_given:Given"
KEPT = "guests_service:GuestService"
LEDGER = "ledger_service:LedgerService"
EVIDENCE = "evidence_service:EvidenceService"
TRUSTING = "evidence_service:Trusting"


class Reason(str):
    """Why the window has no such thing."""

    __slots__ = ()


ASKED = Reason("the window asks in a field, where the command line takes a descriptor or a file")
ANYWHERE = {
    "--json": Reason("for programs that read the output; the window shows it to people"),
    "--vault": Reason("the window has one vault; WATCHWORD_HOME names its folder"),
    "--passphrase-fd": ASKED,
    "--passphrase-file": ASKED,
    "--new-passphrase-fd": ASKED,
    "--new-passphrase-file": ASKED,
    "--pin-fd": ASKED,
    "--pin-file": ASKED,
    "--code-fd": ASKED,
    "--code-file": ASKED,
    "--from-fd": Reason("nobody can hand a descriptor to a window; it takes files"),
    "--pkcs11-module": f"{GIVEN}.module",
    "--kdf": Reason("what is made in the window is stretched with scrypt; Argon2id vaults open"),
}

VAULT = {
    "init": f"{SERVICE}.create_with",
    "init --open-with": f"{GIVEN}.open_with",
    "init --recovery": f"{SERVICE}.make_recovery_code",
    "init --credential-out": f"{GIVEN}.credential_out",
    "init --with-key": f"{GIVEN}.with_key",
    "init --credential": f"{GIVEN}.credential",
    "init --token": f"{GIVEN}.token",
    "status": f"{SERVICE}.look",
    "list": f"{SERVICE}.names",
    "add": f"{SERVICE}.add",
    "add --kind": f"{SERVICE}.add(kind)",
    "add --from-file": f"{SERVICE}.add_file(path)",
    "add --strip-newline": f"{SERVICE}.add_file(strip_newline)",
    "add --replace": f"{SERVICE}.add(replace)",
    "generate": f"{SERVICE}.generate",
    "generate --kind": f"{SERVICE}.generate(kind)",
    "generate --replace": f"{SERVICE}.generate(replace)",
    "show": f"{SERVICE}.reveal",
    "show --reveal": Reason("pressing the button is that word; keys of launches are never shown"),
    "remove": f"{SERVICE}.remove",
    "rotate": f"{SERVICE}.rotate",
    "recovery": f"{SERVICE}.make_recovery_code",
    "restore": f"{SERVICE}.restore",
    "restore --open-with": f"{SERVICE}.restore(given)",
    "restore --accept-older": f"{SERVICE}.restore(accept_older)",
    "restore --credential": f"{GIVEN}.credential",
    "restore --token": f"{GIVEN}.token",
}
LEDGER_WORDS = {
    "list": f"{LEDGER}.look",
    "list --launch": f"{LEDGER}.look(launch_id)",
    "list --kind": f"{LEDGER}.look(kind)",
    "list --limit": Reason("the table scrolls, and shows older entries by number or filter"),
    "verify": f"{LEDGER}.verify",
    "verify --head": f"{LEDGER}.verify(known)",
    "verify --anchor": f"{LEDGER}.verify(anchor)",
    "head": "ledger_check:CheckSection.show_head",
    "head --out": f"{LEDGER}.export_head(path)",
    "export": f"{LEDGER}.export",
    "export --out": f"{LEDGER}.export(path)",
    "merge": Reason("several machines' chains: a fleet past one machine has no window"),
    "merge --head": Reason("as merge"),
    "merge --out": Reason("as merge"),
    "affected": f"{LEDGER}.affected",
    "affected --cek": "ledger_service:Sought.cek",
    "affected --generation": "ledger_service:Sought.generation",
    "affected --firmware": "ledger_service:Sought.firmware",
    "affected --build": "ledger_service:Sought.build",
    "affected --advisory": "ledger_service:Sought.advisory",
    "affected --entry": "ledger_service:Sought.entry",
    "accept-older": f"{LEDGER}.accept_older",
    "accept-older --reason": f"{LEDGER}.accept_older(reason)",
}
EVIDENCE_WORDS = {
    "list": f"{EVIDENCE}.documents",
    "list --launch": Reason("each document in the list names its launch"),
    "export": f"{EVIDENCE}.envelope",
    "export --out": f"{EVIDENCE}.write(path)",
    "export --html": f"{EVIDENCE}.page",
    "export --redact": f"{EVIDENCE}.redact",
    "export --salts": f"{EVIDENCE}.redact(salts)",
    "export --firmware": Reason("a page of your own records; *Check documents* takes files"),
    "export --kernel": Reason("as --firmware"),
    "export --initrd": Reason("as --firmware"),
    "export --trust-root": Reason("the window takes the roots that the launch was made under"),
    "verify": f"{EVIDENCE}.check",
    "verify --signer": f"{TRUSTING}.signers",
    "verify --accept-unknown-signer": f"{TRUSTING}.accept_unknown_signer",
    "verify --firmware": f"{TRUSTING}.firmware",
    "verify --kernel": f"{TRUSTING}.kernel",
    "verify --initrd": f"{TRUSTING}.initrd",
    "verify --trust-root": f"{TRUSTING}.root",
    "open": f"{EVIDENCE}.opened_texts",
    "open --salts": f"{EVIDENCE}.opened_texts(salts)",
    "signer": f"{EVIDENCE}.signer",
    "signer --new": f"{EVIDENCE}.signer(new)",
}
GUEST = {
    "add": f"{KEPT}.add",
    "list": f"{KEPT}.all",
    "show": f"{KEPT}.one",
    "draft": "guests_form:GuestForm.show_draft",
    "check": f"{KEPT}.one",
    "remove": f"{KEPT}.remove",
    "edit": f"{KEPT}.change",
    "export": f"{KEPT}.export",
    "import": f"{KEPT}.take_in",
}
TABLES = {"vault": VAULT, "ledger": LEDGER_WORDS, "evidence": EVIDENCE_WORDS}


def subcommands(command):
    """The words of a command, with their parsers."""
    (groups,) = (
        action
        for action in build_parser([command])._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    parser = groups.choices[command]
    (words,) = (
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    return words.choices


def words_and_options(command):
    """``rotate``, ``rotate --kdf`` and so on."""
    for word, parser in subcommands(command).items():
        yield word
        for action in parser._actions:
            for option in action.option_strings[-1:]:
                if option != "--help":
                    yield f"{word} {option}"


def is_there(place):
    """Whether the window has what a place names: an attribute, a field, a parameter."""
    name, _, parameter = place.removesuffix(")").partition("(")
    module, _, path = name.partition(":")
    owner, _, member = path.partition(".")
    thing = getattr(importlib.import_module(PAGES + module), owner)
    if dataclasses.is_dataclass(thing) and not hasattr(thing, member):
        return member in {field.name for field in dataclasses.fields(thing)}
    found = getattr(thing, member, None)
    return found is not None and (not parameter or parameter in inspect.signature(found).parameters)


@pytest.mark.parametrize("command", TABLES)
def test_each_word_and_option_has_its_place_in_the_window_or_a_reason(command):
    missing = [
        word
        for word in words_and_options(command)
        if word not in TABLES[command] and word.rpartition(" ")[2] not in ANYWHERE
    ]
    assert missing == []


def test_each_word_about_guests_has_its_place():
    assert set(GUEST) == set(subcommands("guest"))


@pytest.mark.parametrize("command", TABLES)
def test_no_line_of_the_table_has_outlived_the_command_line(command):
    assert set(TABLES[command]) <= set(words_and_options(command))


@pytest.mark.parametrize(
    "place",
    sorted(
        {
            place
            for table in (ANYWHERE, VAULT, LEDGER_WORDS, EVIDENCE_WORDS, GUEST)
            for place in table.values()
            if not isinstance(place, Reason)
        }
    ),
)
def test_what_the_table_names_is_there(place):
    assert is_there(place), place


def test_what_is_not_there_is_noticed():
    assert not is_there(f"{SERVICE}.juggle")
    assert not is_there(f"{SERVICE}.add(colour)")
    assert not is_there(f"{GIVEN}.colour")
