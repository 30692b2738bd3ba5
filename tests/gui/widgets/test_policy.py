# SPDX-License-Identifier: Apache-2.0
"""A policy is shown bit by bit, and changed by box, number, name or preset, always consistently."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from watchword.core.sev.policy import DEFAULT_POLICY, Policy, PolicyFlag
from watchword.gui.widgets.copy_button import CopyButton
from watchword.gui.widgets.policy_editor import PolicyEditor
from watchword.gui.widgets.policy_view import PolicyView
from watchword.gui.widgets.policy_words import FLAGS, bit_title, bit_words

from .looks import name_of

POLICIES = st.builds(
    lambda flags, major, minor: Policy(flags | major << 16 | minor << 24),
    st.integers(0, 0x3F),
    st.integers(0, 255),
    st.integers(0, 255),
)


@pytest.fixture
def editor(qtbot) -> PolicyEditor:
    editor = PolicyEditor()
    qtbot.addWidget(editor)
    return editor


def changes(editor: PolicyEditor) -> list[int]:
    values: list[int] = []
    editor.policyChanged.connect(values.append)
    return values


def enter(qtbot, editor: PolicyEditor, text: str) -> None:
    editor.number.clear()
    qtbot.keyClicks(editor.number, text)
    qtbot.keyClick(editor.number, Qt.Key.Key_Return)


# -- words -----------------------------------------------------------------------


@given(POLICIES)
def test_each_bit_is_told_as_the_core_tells_it(policy: Policy) -> None:
    told = [bit_words(flag, policy).sentence.rstrip(".").lower() for flag in FLAGS]
    from_the_core = [line.lower() for line in policy.in_words()[:-1]]
    moot = PolicyFlag.NOSEND in policy.flags
    assert [line for line in told if not (moot and line.startswith("has no effect"))] == (
        from_the_core
    )


@pytest.mark.parametrize("flag", PolicyFlag)
def test_a_bit_is_told_differently_when_it_is_set(flag: PolicyFlag) -> None:
    assert bit_words(flag, Policy(0)).sentence != bit_words(flag, Policy(int(flag))).sentence
    assert bit_title(flag)


# -- to read ---------------------------------------------------------------------


def test_the_view_shows_number_names_bits_and_findings(qtbot, clipboard) -> None:
    view = PolicyView(DEFAULT_POLICY)
    qtbot.addWidget(view)
    texts = [label.text() for label in view.findChildren(QLabel)]
    assert "0x1100002f" in texts
    assert "nodbg, noks, es, nosend, sev, min-api=0.17" in texts
    assert "The host may not read or write the guest's memory through the debug commands." in texts
    assert view.findings.sentences == ("Good: Nothing is weak in this policy.",)
    names = {name_of(label) for label in view.findChildren(QLabel)}
    assert {"NODBG, set", "DOMAIN, not set", "API 0.17, set"} <= names
    qtbot.mouseClick(view.findChild(CopyButton), Qt.MouseButton.LeftButton)
    assert clipboard.text() == "0x1100002f"


def test_the_view_says_what_is_weak_and_refusals_first(qtbot) -> None:
    view = PolicyView()
    qtbot.addWidget(view)
    view.show_policy(Policy(0))
    words = [sentence.split(":")[0] for sentence in view.findings.sentences]
    assert words == ["Refused", "Refused", "Refused", "Warning", "Warning"]
    assert "can decrypt the guest's memory" in name_of(view.findings)


# -- to change -------------------------------------------------------------------


def test_it_begins_with_the_default_policy(editor: PolicyEditor) -> None:
    assert editor.policy == DEFAULT_POLICY
    assert editor.number.text() == "0x1100002f"
    assert editor.presets.currentText() == "Default"
    assert [flag for flag, box in editor.boxes.items() if not box.isChecked()] == [
        PolicyFlag.DOMAIN
    ]


def test_a_box_changes_the_policy_and_everything_that_is_shown(qtbot, editor) -> None:
    values = changes(editor)
    box = editor.boxes[PolicyFlag.ES]
    qtbot.keyClick(box, Qt.Key.Key_Space)
    assert values == [0x1100002B]
    assert editor.number.text() == "0x1100002b"
    assert editor.presets.currentText() == "Default without SEV-ES"
    assert "SEV without ES" in box.accessibleDescription()
    assert any("Without ES" in sentence for sentence in editor.findings.sentences)


def test_the_least_api_is_part_of_the_number(qtbot, editor) -> None:
    values = changes(editor)
    editor.major.setValue(1)
    editor.minor.setValue(49)
    assert values == [0x1101002F, 0x3101002F]
    assert editor.presets.currentText() == "Own choice"


@pytest.mark.parametrize(
    ("text", "value"),
    [("0x31010005", 0x31010005), ("3", 3), ("nodbg,es,min-api=1.49", 0x31010005), ("none", 0)],
)
def test_an_expert_types_it(qtbot, editor, text: str, value: int) -> None:
    values = changes(editor)
    enter(qtbot, editor, text)
    assert values == [value]
    assert editor.number.text() == f"0x{value:x}"
    assert editor.boxes[PolicyFlag.NODBG].isChecked() == bool(value & 1)


@pytest.mark.parametrize("text", ["0x40", "gibberish", "", "0x1_0", "99999999999"])
def test_what_is_no_policy_is_told_and_changes_nothing(qtbot, editor, text: str) -> None:
    values = changes(editor)
    enter(qtbot, editor, text)
    assert values == []
    assert editor.policy == DEFAULT_POLICY
    assert "Write it in hex" in editor.number.accessibleDescription()
    assert editor.number.text() == text
    enter(qtbot, editor, "0x1100002f")
    assert editor.number.accessibleDescription() == ""


def test_a_preset_is_chosen_with_the_keyboard(qtbot, editor) -> None:
    values = changes(editor)
    editor.set_policy(Policy(0))
    editor.show()
    editor.presets.setFocus()
    qtbot.keyClick(editor.presets, Qt.Key.Key_Home)
    assert editor.policy == DEFAULT_POLICY
    assert values == [DEFAULT_POLICY.value]


def test_choosing_own_choice_changes_nothing(editor) -> None:
    values = changes(editor)
    last = editor.presets.count() - 1
    editor.presets.setCurrentIndex(last)
    editor.presets.activated.emit(last)
    assert values == []
    assert editor.presets.currentText() == "Default"


def test_setting_a_policy_from_outside_emits_nothing(editor) -> None:
    values = changes(editor)
    editor.set_policy(Policy(0x1))
    assert values == []
    assert editor.number.text() == "0x1"


def test_any_policy_comes_back_as_it_was_set(editor) -> None:
    for value in (0, 1, 0x3F, 0xFFFF003F, 0x31010005):
        editor.set_policy(Policy(value))
        assert editor.policy.value == value
        editor.boxes[PolicyFlag.NODBG].toggle()
        assert editor.policy.value == value ^ 1
