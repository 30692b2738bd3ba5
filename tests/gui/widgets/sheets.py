# SPDX-License-Identifier: Apache-2.0
"""Widgets filled with believable contents, for the gallery and for tests of their sizes."""

from __future__ import annotations

import hashlib

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from watchword.core.errors import VerificationRefused
from watchword.core.launch.engine import StepState
from watchword.core.sev.policy import DEFAULT_POLICY, Policy
from watchword.gui.widgets.banner import Banner
from watchword.gui.widgets.busy_line import BusyLine
from watchword.gui.widgets.chain_tree import ChainTree
from watchword.gui.widgets.copy_button import CopyButton
from watchword.gui.widgets.digest_comparison import DigestComparison
from watchword.gui.widgets.drop_area import DropArea
from watchword.gui.widgets.empty_state import EmptyState
from watchword.gui.widgets.explained import ExplainButton, Explained, Explanation
from watchword.gui.widgets.folders import RememberedFolders
from watchword.gui.widgets.key_value_table import KeyValueTable, Row
from watchword.gui.widgets.page_frame import PageFrame
from watchword.gui.widgets.path_field import PathField
from watchword.gui.widgets.policy_editor import PolicyEditor
from watchword.gui.widgets.policy_view import PolicyView
from watchword.gui.widgets.secret_copy_button import SecretCopyButton
from watchword.gui.widgets.secret_field import SecretField
from watchword.gui.widgets.section import Section
from watchword.gui.widgets.simulated import SimulatedBadge
from watchword.gui.widgets.state_badge import StateBadge, step_look
from watchword.gui.widgets.stepper import StepEntry, Stepper
from watchword.gui.widgets.tones import Tone
from watchword.resources.glossary import term


def digest(word: str) -> bytes:
    return hashlib.sha256(word.encode()).digest()


def report(**changes: object) -> dict[str, object]:
    """The JSON form of a chain report; ``changes`` are verdicts and reasons by link."""
    links = []
    for name, reason in (
        ("ark-ark", "AMD's own root key"),
        ("ask-ark", "signed by the ARK"),
        ("cek-ask", "signed by the ASK"),
        ("oca-oca", "signs itself"),
        ("pek-oca", "signed by the OCA"),
        ("pek-cek", "signed by the CEK"),
        ("pdh-pek", "signed by the PEK"),
    ):
        certificate, signer = name.split("-")
        verdict, words = changes.get(name.replace("-", "_"), ("ok", reason))
        links.append(
            {
                "certificate": certificate,
                "signed_by": signer,
                "verdict": verdict,
                "reason": words,
            }
        )
    return {
        "ok": all(link["verdict"] == "ok" for link in links),
        "generation": changes.get("generation", "milan"),
        "root": changes.get("root", "amd"),
        "links": links,
        "pdh_sha256": digest("pdh").hex(),
        "cek_sha256": digest("cek").hex(),
        "oca_sha256": digest("oca").hex(),
        "chip_id": (digest("chip") + digest("id")).hex(),
        "warnings": changes.get("warnings", []),
    }


def forged_report() -> dict[str, object]:
    return report(
        ark_ark=(
            "failed",
            "not AMD's root: its key is none of AMD's known roots, so it may be anybody's",
        ),
        cek_ask=("skipped", "not checked: there is no usable ASK to check it with"),
        oca_oca=("missing", "the OCA is missing"),
        root="not-amd",
        generation=None,
        warnings=["PDH: bytes that don't belong there in signature 2; they were ignored."],
    )


def refusal() -> VerificationRefused:
    return VerificationRefused(
        "measurement-mismatch",
        "The launch measurement does not match",
        "What the host loaded is not what you approved: firmware, kernel, command line or the"
        " number of processors differ.",
        "Send no secret. See below what explains it, and start a new launch with the right values.",
        {"expected": digest("a").hex(), "reported": digest("b").hex(), "host": "<b>evil</b>"},
    )


def entries() -> list[StepEntry]:
    return [
        StepEntry("guest", "Guest", StepState.DONE),
        StepEntry("platform", "Platform", StepState.WAIVED, "lab machine"),
        StepEntry("session", "Launch blob", StepState.STALE, "the policy was changed"),
        StepEntry("start", "Start", StepState.WAITING, "the VM is not there yet"),
        StepEntry("measurement", "Measurement", StepState.FAILED, "does not match"),
        StepEntry("secret", "Secret", StepState.BLOCKED, "Measurement did not succeed"),
        StepEntry("evidence", "Evidence", StepState.TODO, enabled=False),
    ]


def _stepper() -> Stepper:
    stepper = Stepper()
    stepper.set_entries(entries())
    stepper.set_current("measurement")
    stepper.set_simulated(True)
    return stepper


def _sheet(*widgets: QWidget, width: int = 860) -> QWidget:
    sheet = QWidget()
    column = QVBoxLayout(sheet)
    column.setContentsMargins(24, 24, 24, 24)
    column.setSpacing(16)
    for widget in widgets:
        column.addWidget(widget)
    column.addStretch(1)
    sheet.setFixedWidth(width)
    return sheet


def _in_section(title: str, widget: QWidget, explanation: str = "") -> Section:
    section = Section(title, explanation)
    section.body.addWidget(widget)
    return section


def banners() -> QWidget:
    bad = Banner()
    bad.show_error(refusal())
    bad.add_action("&Start a new launch…", lambda: None, primary=True)
    bad.add_action("&Retry", lambda: None)
    opened = Banner()
    opened.show_error(refusal())
    opened.findChild(type(opened._details)).set_open(True)
    waiting = Banner()
    waiting.show_message(
        Tone.INFO, "Waiting for the host", "The VM is not there yet.", "Hand it the two files."
    )
    warn = Banner()
    warn.show_message(Tone.WARN, "A new minor weakness", "Milan: see AMD-SB-3003.", code="note")
    good = Banner()
    good.show_message(Tone.OK, "The secret was handed over", "The VM runs, says the host.")
    sheet = _sheet(bad, opened, waiting, warn, good)
    for banner in (bad, opened, waiting, warn, good):
        banner.show()
    return sheet


def chain() -> QWidget:
    tree = ChainTree()
    tree.show_report(report())
    return _sheet(_in_section("Certificate chain", tree))


def chain_forged() -> QWidget:
    tree = ChainTree()
    tree.show_report(forged_report())
    return _sheet(_in_section("Certificate chain", tree))


def comparison() -> QWidget:
    same, other = DigestComparison("launch measurement"), DigestComparison("launch digest")
    same.compare(digest("a"), digest("a"))
    changed = bytearray(digest("a"))
    changed[21] ^= 0x40
    other.compare(digest("a"), bytes(changed))
    return _sheet(_in_section("Measurement", same), _in_section("Launch digest", other))


def policies() -> QWidget:
    return _sheet(
        _in_section("Policy", PolicyView(DEFAULT_POLICY)),
        _in_section("A weak policy", PolicyView(Policy(0x1))),
    )


def policy_editor() -> QWidget:
    return _sheet(
        _in_section("Policy", PolicyEditor(Policy(0x11000003)), "What the host may never do.")
    )


def fields() -> QWidget:
    folders = RememberedFolders()
    plain = PathField("&Firmware", folders=folders)
    plain.set_path("/usr/share/ovmf/OVMF.amdsev.fd")
    wrong = PathField("&Kernel", folders=folders)
    wrong.set_problem("There is no file of that name. Choose the kernel that the VM boots.")
    secret = SecretField("&Passphrase", repeat=True, alternatives=True)
    secret.edit.setText("correct horse")
    secret.again.setText("correct house")
    secret.set_problem("The two are not the same.")
    area = DropArea("Drop the host's certificate files here, or paste its answer", folders=folders)
    area.add_files(["/tmp/pdh.cert", "/tmp/full_chain.cert"])
    area.add_text("x" * 2000)
    return _sheet(_in_section("Files", _column(plain, wrong)), _in_section("Secret", secret), area)


def _column(*widgets: QWidget) -> QWidget:
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(12)
    for widget in widgets:
        column.addWidget(widget)
    return holder


def _row(*widgets: QWidget) -> QWidget:
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        row.addWidget(widget)
    row.addStretch(1)
    return holder


def small_things() -> QWidget:
    busy = BusyLine()
    busy.begin("Waiting for QEMU to open qmp+unix:///run/vm1.sock…")
    table = KeyValueTable(
        [
            Row("Guest", "web-1"),
            Row("Host", "qmp+ssh://ops@rack7.example.net/run/web-1.sock", copy=True),
            Row("Launch digest", digest("d").hex(), copy=True, hex=True, term="launch-digest"),
            Row("Platform", "verified, Milan", term="platform"),
        ]
    )
    states = list(StepState)
    sheet = _sheet(
        *(_row(*(StateBadge(step_look(s)) for s in states[i : i + 3])) for i in (0, 3, 6)),
        _row(SimulatedBadge()),
        busy,
        _in_section("This launch", table),
        _row(
            Explained("pdh"),
            Explained("launch-measurement"),
            CopyButton("x", "digest", label="Copy"),
            SecretCopyButton("disk passphrase"),
        ),
        EmptyState(
            "guests", "No guests yet", "A guest is what you agreed should run.", "New guest"
        ),
    )
    busy.show()
    return sheet


def explanation() -> QWidget:
    anchor = ExplainButton("cek")
    window = Explanation(term("cek"), anchor)
    window.setWindowFlags(Qt.WindowType.Widget)
    window.setParent(None)
    return _sheet(window, width=468)


def whole_page() -> QWidget:
    window = QWidget()
    row = QHBoxLayout(window)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(0)
    page = PageFrame("Measurement", "What was loaded, as the secure processor states it.")
    page.set_simulated(True)
    banner = Banner()
    banner.show_error(refusal())
    banner.add_action("&Start a new launch…", lambda: None, primary=True)
    page.content.addWidget(banner)
    compare = DigestComparison("launch measurement")
    compare.compare(digest("a"), digest("b"))
    page.content.addWidget(_in_section("Expected and reported", compare))
    go_on, off = QPushButton("Continue"), QPushButton("Not now")
    go_on.setProperty("primary", True)
    off.setEnabled(False)
    field = QLineEdit("text")
    field.setAccessibleName("Reason")
    buttons = _row(QPushButton("Back"), off, go_on, field)
    page.content.addWidget(buttons)
    stepper = _stepper()
    row.addWidget(stepper)
    row.addWidget(page, 1)
    window.resize(911, 512)
    banner.show()
    return window


SHEETS = {
    "banners": banners,
    "chain": chain,
    "chain-forged": chain_forged,
    "comparison": comparison,
    "explanation": explanation,
    "fields": fields,
    "page": whole_page,
    "policies": policies,
    "policy-editor": policy_editor,
    "small": small_things,
    "stepper": _stepper,
}
