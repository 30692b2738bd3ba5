# SPDX-License-Identifier: Apache-2.0
"""Fields for paths and secrets: typed, chosen, dropped; problems in words after the first edit."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit, QWidget

from watchword.gui.widgets.drop_area import LONGEST_TEXT, DropArea, Given
from watchword.gui.widgets.dropped import MOST, dropped_files
from watchword.gui.widgets.folders import RememberedFolders
from watchword.gui.widgets.path_field import PathField, PathKind
from watchword.gui.widgets.secret_field import SecretField

from .looks import name_of


@pytest.fixture
def folders() -> RememberedFolders:
    return RememberedFolders()


@pytest.fixture
def field(qtbot, folders) -> PathField:
    field = PathField("&Firmware", purpose="firmware", check=no_blanks, folders=folders)
    qtbot.addWidget(field)
    field.show()
    return field


def no_blanks(path: str) -> str:
    return "There is a blank in it." if " " in path else ""


def files(*paths: Path | str) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def drop(widget: QWidget, data: QMimeData) -> bool:
    """Drag over the widget and drop there; whether it offered to take it."""
    actions, button = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    none = Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(2, 2), actions, data, button, none)
    QApplication.sendEvent(widget, enter)
    if enter.isAccepted():
        QApplication.sendEvent(widget, QDropEvent(QPointF(2, 2), actions, data, button, none))
    return enter.isAccepted()


def choose(qtbot, dialog: QFileDialog, path: Path) -> None:
    """Type a path into the dialog and accept it, with Qt's own dialog."""
    line = dialog.findChild(QLineEdit)
    line.setText(str(path))
    dialog.accept()


@pytest.fixture(autouse=True)
def _qts_own_dialogs(qapp):
    attribute = Qt.ApplicationAttribute.AA_DontUseNativeDialogs
    QApplication.setAttribute(attribute, True)
    yield
    QApplication.setAttribute(attribute, False)


# -- one path --------------------------------------------------------------------


def test_field_and_button_have_names_and_a_shortcut(field: PathField) -> None:
    assert name_of(field.edit) == "Firmware"
    assert name_of(field.browse) == "Browse for Firmware"
    assert field.label.buddy() is field.edit


def test_a_typed_path_is_told_at_once(qtbot, field: PathField) -> None:
    paths: list[str] = []
    field.pathChanged.connect(paths.append)
    qtbot.keyClicks(field.edit, "/a")
    assert paths == ["/", "/a"]
    qtbot.keyClicks(field.edit, " ")
    assert field.path == "/a"


def test_a_problem_is_told_after_the_first_edit_and_then_with_every_key(qtbot, field) -> None:
    qtbot.keyClicks(field.edit, "a b")
    assert field.problem == ""
    qtbot.keyClick(field.edit, Qt.Key.Key_Return)
    assert field.problem == "There is a blank in it."
    assert field.edit.accessibleDescription() == "There is a blank in it."
    qtbot.keyClick(field.edit, Qt.Key.Key_Backspace)
    qtbot.keyClick(field.edit, Qt.Key.Key_Backspace)
    assert field.problem == ""
    assert field.edit.accessibleDescription() == ""


def test_leaving_an_untouched_field_is_no_edit(qtbot, field) -> None:
    field.set_path("a b")
    field.edit.setFocus()
    field.browse.setFocus()
    assert field.problem == ""


def test_somebody_else_may_find_a_problem(field) -> None:
    field.set_problem("There is no such file.")
    assert field.problem == "There is no such file."


def test_the_dialog_opens_where_such_a_file_was_last(qtbot, field, folders, tmp_path) -> None:
    image = tmp_path / "OVMF.fd"
    image.touch()
    choose(qtbot, field.choose(), image)
    assert field.path == str(image)
    assert folders["firmware"] == str(tmp_path)
    assert folders["kernel"] == str(tmp_path)
    dialog = field.choose()
    assert Path(dialog.directory().absolutePath()) == tmp_path
    dialog.reject()


def test_the_dialog_knows_what_it_is_for(qtbot, folders) -> None:
    for kind, mode in (
        (PathKind.OPEN, QFileDialog.FileMode.ExistingFile),
        (PathKind.SAVE, QFileDialog.FileMode.AnyFile),
        (PathKind.FOLDER, QFileDialog.FileMode.Directory),
    ):
        field = PathField("File", kind, filters=["Firmware (*.fd)"], folders=folders)
        qtbot.addWidget(field)
        dialog = field.choose()
        assert dialog.fileMode() is mode
        assert dialog.nameFilters()[0] == "Firmware (*.fd)"
        saves = dialog.acceptMode() is QFileDialog.AcceptMode.AcceptSave
        assert saves == (kind is PathKind.SAVE)
        dialog.reject()


def test_a_file_may_be_dropped_anywhere_on_the_field(field, folders, tmp_path) -> None:
    assert not field.edit.acceptDrops()
    assert drop(field, files(tmp_path / "x.fd"))
    assert field.path == str(tmp_path / "x.fd")
    assert folders["firmware"] == str(tmp_path)


def test_several_files_are_one_too_many(field) -> None:
    assert drop(field, files("/a", "/b"))
    assert field.path == ""
    assert field.problem == "Drop one file of this computer only."


def test_addresses_elsewhere_are_not_taken(field) -> None:
    data = QMimeData()
    data.setUrls([QUrl("https://example.org/x"), QUrl("file://otherhost/x")])
    assert not drop(field, data) or field.path.startswith("//otherhost")
    data.setUrls([QUrl("https://example.org/x")])
    assert not drop(field, data)
    assert dropped_files(QMimeData()) == []


def test_folders_are_kept_by_whoever_starts_the_program() -> None:
    first = RememberedFolders()
    first.remember("kernel", "/boot/vmlinuz")
    second = RememberedFolders(first.as_mapping())
    assert second["kernel"] == "/boot"
    second.update({"initrd": "/srv"})
    assert second["initrd"] == "/srv"
    assert RememberedFolders()["kernel"] == ""


# -- a secret ----------------------------------------------------------------------


@pytest.fixture
def secret(qtbot) -> SecretField:
    field = SecretField("&Passphrase", repeat=True, alternatives=True)
    qtbot.addWidget(field)
    field.show()
    return field


def test_what_is_typed_is_hidden_and_input_methods_remember_nothing(secret) -> None:
    for line in (secret.edit, secret.again):
        assert line.echoMode() is QLineEdit.EchoMode.Password
        hints = line.inputMethodHints()
        assert hints & Qt.InputMethodHint.ImhSensitiveData
        assert hints & Qt.InputMethodHint.ImhNoPredictiveText
        assert not line.dragEnabled()
        assert not line.acceptDrops()
    assert name_of(secret.edit) == "Passphrase"
    assert name_of(secret.again) == "Passphrase, once more"


def test_it_can_be_shown_and_hidden_again(qtbot, secret) -> None:
    assert name_of(secret.show_button) == "Show what is typed"
    qtbot.keyClick(secret.show_button, Qt.Key.Key_Space)
    assert secret.edit.echoMode() is QLineEdit.EchoMode.Normal
    assert secret.edit.inputMethodHints() & Qt.InputMethodHint.ImhSensitiveData
    assert name_of(secret.show_button) == "Hide what is typed"
    qtbot.keyClick(secret.show_button, Qt.Key.Key_Space)
    assert secret.edit.echoMode() is QLineEdit.EchoMode.Password


def test_it_must_be_typed_twice_the_same(qtbot, secret) -> None:
    qtbot.keyClicks(secret.edit, "pass")
    assert not secret.complete
    assert secret.problem == ""
    qtbot.keyClicks(secret.again, "pasx")
    assert secret.problem == "The two are not the same."
    assert not secret.complete
    qtbot.keyClick(secret.again, Qt.Key.Key_Backspace)
    qtbot.keyClicks(secret.again, "s")
    assert secret.problem == ""
    assert secret.complete


def test_taking_it_empties_the_field_and_hides_the_next(qtbot, secret) -> None:
    for line in (secret.edit, secret.again):
        line.insert("pass wörd")  # QTest has keys for ASCII alone
    secret.show_button.setChecked(True)
    taken = secret.take()
    with taken.reveal() as view:
        assert bytes(view) == "pass wörd".encode()
    taken.wipe()
    assert secret.empty
    assert secret.again.text() == ""
    assert secret.edit.echoMode() is QLineEdit.EchoMode.Password
    assert not secret.edit.isUndoAvailable()


def test_better_ways_are_offered_and_the_reason_is_given(qtbot, secret) -> None:
    with qtbot.waitSignal(secret.fileWanted):
        qtbot.mouseClick(secret.file_button, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(secret.generateWanted):
        qtbot.mouseClick(secret.generate_button, Qt.MouseButton.LeftButton)
    words = " ".join(w.accessibleName() for w in secret.findChildren(QWidget))
    assert "leaves copies in this computer's memory" in words


def test_a_passphrase_that_opens_something_is_typed_once(qtbot) -> None:
    field = SecretField("Passphrase")
    qtbot.addWidget(field)
    field.show()
    edits: list[bool] = []
    field.changed.connect(lambda: edits.append(field.complete))
    qtbot.keyClicks(field.edit, "ab")
    assert edits == [True, True]
    assert not field.again.isVisible()
    assert not field.file_button.isVisible()
    field.set_problem("That does not open the vault.")
    assert field.edit.accessibleDescription() == "That does not open the vault."


# -- several files -------------------------------------------------------------------


@pytest.fixture
def area(qtbot, folders) -> DropArea:
    area = DropArea("Drop certificates here", purpose="certificates", folders=folders)
    qtbot.addWidget(area)
    area.show()
    return area


def paths(area: DropArea) -> list[str]:
    return [given.path for given in area.given]


def test_dropped_files_are_listed_once_each(qtbot, area, folders) -> None:
    with qtbot.waitSignal(area.changed):
        assert drop(area, files("/x/a.cert", "/x/b.cert"))
    drop(area, files("/x/b.cert", "/x/c.cert"))
    assert paths(area) == ["/x/a.cert", "/x/b.cert", "/x/c.cert"]
    assert folders["certificates"] == "/x"


def test_one_is_taken_away_by_its_button(qtbot, area) -> None:
    area.add_files(["/x/a.cert", "/x/b.cert"])
    buttons = {name_of(w): w for w in area.findChildren(QWidget) if name_of(w).startswith("Remov")}
    qtbot.mouseClick(buttons["Remove a.cert"], Qt.MouseButton.LeftButton)
    assert paths(area) == ["/x/b.cert"]
    area.remove(Given("strange"))
    area.clear()
    assert area.given == ()


def test_a_text_is_pasted_by_button_or_key(qtbot, area, clipboard) -> None:
    clipboard.setText("AAAA")
    qtbot.mouseClick(area.paste_button, Qt.MouseButton.LeftButton)
    qtbot.keyClick(area.browse, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert [given.text for given in area.given] == ["AAAA", "AAAA"]
    assert area.given[0].name == "Pasted text, 4 characters"


def test_copied_files_are_pasted_as_files(area, clipboard) -> None:
    clipboard.setMimeData(files("/x/a.cert"))
    area.paste()
    assert paths(area) == ["/x/a.cert"]


def test_a_dropped_text_is_taken_as_text(area) -> None:
    data = QMimeData()
    data.setText("-----")
    assert drop(area, data)
    assert area.given[0].text == "-----"


def test_an_area_for_files_alone_takes_no_text(qtbot, folders, clipboard) -> None:
    area = DropArea("Files", paste=False, folders=folders)
    qtbot.addWidget(area)
    data = QMimeData()
    data.setText("text")
    assert not drop(area, data)
    clipboard.setText("text")
    qtbot.keyClick(area.browse, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert area.given == ()
    assert not area.paste_button.isVisible()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "There is no text on the clipboard."),
        (" \n", "There is no text on the clipboard."),
        ("x" * (LONGEST_TEXT + 1), "That text is too long to be one of these."),
    ],
)
def test_a_text_that_can_not_be_right_is_told(area, text: str, problem: str) -> None:
    area.add_text(text)
    assert area.given == ()
    assert area.problem == problem


def test_only_so_many_are_taken(area) -> None:
    area.add_files([f"/x/{n}" for n in range(MOST)])
    area.add_files(["/x/more"])
    assert len(area.given) == MOST
    assert area.problem == f"More than {MOST} are not taken."
    area.remove(area.given[0])
    assert area.problem == ""


def test_several_are_chosen_in_a_dialog(qtbot, area, tmp_path) -> None:
    one = tmp_path / "one.cert"
    one.touch()
    choose(qtbot, area.choose(), one)
    assert paths(area) == [str(one)]


def test_a_foreign_file_name_is_shown_as_it_is(area) -> None:
    area.add_files(["/x/<b>&evil\u202e.cert"])
    names = {name_of(widget) for widget in area.findChildren(QWidget)}
    assert "Remove <b>&evil\\u202e.cert" in names
