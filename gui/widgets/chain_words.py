# SPDX-License-Identifier: Apache-2.0
"""Plain sentences for the links of a certificate chain, from the JSON form of its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QCoreApplication

from .state_badge import Look
from .tones import Tone

ROLES: Final = ("ark", "ask", "cek", "oca", "pek", "pdh")
"""Certificates that have an entry in the glossary under the same name."""

translate = QCoreApplication.translate


@dataclass(frozen=True, slots=True)
class LinkWords:
    """One link as it is shown."""

    certificate: str
    title: str
    look: Look
    sentence: str


def verdict_look(verdict: str) -> Look:
    """How a verdict is shown; one that is not known is no good one."""
    looks = {
        "ok": Look("ok", translate("ChainWords", "Holds"), Tone.OK),
        "missing": Look("missing", translate("ChainWords", "Missing"), Tone.WARN),
        "skipped": Look("blocked", translate("ChainWords", "Not checked"), Tone.NEUTRAL),
    }
    return looks.get(verdict, Look("bad", translate("ChainWords", "Fails"), Tone.BAD))


def link_words(
    link: Mapping[str, object], *, amd: bool, whole: bool, simulated: bool = False
) -> LinkWords:
    """A link of the report in words.

    ``amd``    whether the chain ends in AMD's own root
    ``whole``  whether all links hold: one that holds in a broken chain proves nothing
    ``simulated``  whether it is a rehearsal's: nobody has named its root
    """
    certificate, signer, verdict, reason = (
        str(link.get(name, "")) for name in ("certificate", "signed_by", "verdict", "reason")
    )
    if certificate == signer:
        title = translate("ChainWords", "{certificate}, signed by itself").format(
            certificate=certificate.upper()
        )
    else:
        title = translate("ChainWords", "{certificate}, signed by {signer}").format(
            certificate=certificate.upper(), signer=signer.upper()
        )
    look = verdict_look(verdict)
    sentence = _good_sentence(certificate, signer, amd=amd) if verdict == "ok" else ""
    if certificate == "ark" and verdict == "ok" and not amd:
        look = Look("warn", translate("ChainWords", "Not AMD's"), Tone.WARN)
    elif verdict == "ok" and not whole:
        look = Look(look.icon, look.word, Tone.NEUTRAL)
    if certificate == "ark" and verdict == "ok" and not amd and simulated:
        sentence = translate(
            "ChainWords", "The simulated root: it is trusted in this rehearsal alone."
        )
    return LinkWords(certificate, title, look, sentence or _sentence(reason))


def _good_sentence(certificate: str, signer: str, *, amd: bool) -> str:
    """What a link that holds means; under another root than AMD's nothing is said of AMD."""
    of_amd = {
        ("ark", "ark"): translate(
            "ChainWords", "This is AMD's own root key, as Watchword knows it."
        ),
        ("cek", "ask"): translate(
            "ChainWords", "AMD's signing key vouches for the key of this chip."
        ),
    }
    sentences = {
        ("ask", "ark"): translate(
            "ChainWords", "The root vouches for the key that signs chips of this generation."
        ),
        ("cek", "ask"): translate("ChainWords", "That key vouches for the key of this chip."),
        ("oca", "oca"): translate(
            "ChainWords", "The platform's owner signed for himself; anybody can."
        ),
        ("pek", "oca"): translate(
            "ChainWords", "The platform's owner vouches for the platform's key."
        ),
        ("pek", "cek"): translate("ChainWords", "The chip itself vouches for the platform's key."),
        ("pdh", "pek"): translate(
            "ChainWords", "The platform vouches for the key that your session is made with."
        ),
    }
    link = (certificate, signer)
    return of_amd[link] if amd and link in of_amd else sentences.get(link, "")


def _sentence(reason: str) -> str:
    text = reason.strip()
    if not text:
        return ""
    end = "" if text.endswith((".", "!", "?")) else "."
    return text[0].upper() + text[1:] + end


def warning_words(warning: str, *, simulated: bool) -> str:
    """A warning of the report; that of a root of somebody's is told otherwise in a rehearsal."""
    if simulated and warning.startswith("The root is not AMD's"):
        return translate("ChainWords", "The root is not AMD's: it is the simulated root.")
    return warning


def root_words(root: object, *, ok: bool, simulated: bool = False) -> str:
    """Whose key the chain ends in."""
    if root == "amd":
        return translate("ChainWords", "AMD's own")
    if root == "not-amd" and simulated:
        return translate("ChainWords", "Not AMD's: the simulated root")
    if root == "not-amd":
        return (
            translate("ChainWords", "Not AMD's; you named it as trusted")
            if ok
            else translate("ChainWords", "Not AMD's")
        )
    return translate("ChainWords", "Not known")
