# SPDX-License-Identifier: Apache-2.0
"""A field for the URL of a host, with a builder below it that puts one together from its parts."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFormLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from ..widgets.foldable import Foldable
from ..widgets.fonts import SMALL, TIGHT, WIDE
from ..widgets.problem_line import ProblemLine
from ..widgets.text_label import TextLabel
from .host_kinds import FIELDS, HostKind, Values, fields_of, problem_of, url_of

_EXAMPLES = {
    "path": "/run/vm1.sock",
    "host": "server1.example.org",
    "user": "operator",
    "port": "4444",
    "certificates": "/etc/pki/qemu",
    "server-name": "server1.example.org",
    "domain": "vm1",
    "namespace": "default",
}
_OTHER_EXAMPLES = {
    (HostKind.FOLDER, "path"): "/media/usb/vm1",
    (HostKind.SSH, "port"): "22",
    (HostKind.LIBVIRT_SSH, "port"): "22",
    (HostKind.LIBVIRT_TLS, "port"): "16514",
    (HostKind.LIBVIRT_TLS, "certificates"): "/etc/pki/libvirt",
}


class HostUrlBuilder(Foldable):
    """``built`` comes with the URL of what was filled in; never checks it itself."""

    built = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("Put the URL together…"), parent)
        self.kind = QComboBox()
        self.kind.setAccessibleName(self.tr("How the host is reached"))
        self.kind.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.kind.setMinimumContentsLength(24)
        self.fields: dict[HostKind, dict[str, QLineEdit]] = {}
        self._forms: dict[HostKind, QWidget] = {}
        self._kind = HostKind.SOCKET
        self.body.setSpacing(SMALL)
        self.body.addWidget(self.kind)
        for kind in HostKind:
            self.kind.addItem(self._kind_name(kind), kind)
            form = self._forms[kind] = self._form(kind)
            form.setVisible(kind is self._kind)
            self.body.addWidget(form)
        words = self.tr("This URL says more than these fields can; edit it as text.")
        self.note = TextLabel(words, quiet=True)
        self.note.hide()
        self.body.addWidget(self.note)
        self.kind.currentIndexChanged.connect(self._choose)

    def show_url(self, url: str) -> None:
        """Fill the fields in from a URL; what they can't hold is left to be edited as text."""
        found = fields_of(url) if url else (self._kind, {})
        self.note.setVisible(found is None and not problem_of(url))
        if found is None:
            return
        self._clear()  # or another host would come back with another kind
        kind, values = found
        self.kind.blockSignals(True)
        self.kind.setCurrentIndex(self.kind.findData(kind))
        self.kind.blockSignals(False)
        self._show(kind)
        self._fill(values)

    @property
    def values(self) -> Values:
        """What is filled in for the chosen kind."""
        return {name: edit.text() for name, edit in self.fields[self._kind].items()}

    def _form(self, kind: HostKind) -> QWidget:
        holder = QWidget()
        form = QFormLayout(holder)
        form.setContentsMargins(0, 0, 0, 0)
        form.setHorizontalSpacing(WIDE)
        form.setVerticalSpacing(SMALL)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self.fields[kind] = {}
        for name in FIELDS[kind]:
            words = self._field_name(kind, name)
            label, edit = QLabel(words), QLineEdit()
            label.setMinimumHeight(edit.sizeHint().height())  # its words stand beside the field's
            edit.setAccessibleName(words)
            edit.setPlaceholderText(_OTHER_EXAMPLES.get((kind, name), _EXAMPLES[name]))
            edit.textEdited.connect(self._build)
            label.setBuddy(edit)
            form.addRow(label, edit)
            self.fields[kind][name] = edit
        return holder

    def _clear(self) -> None:
        for edits in self.fields.values():
            for edit in edits.values():
                edit.clear()

    def _fill(self, values: Values) -> None:
        for name, edit in self.fields[self._kind].items():
            edit.setText(values.get(name, ""))

    def _show(self, kind: HostKind) -> None:
        self._kind = kind
        for one, form in self._forms.items():
            form.setVisible(one is kind)

    def _choose(self) -> None:
        """What was filled in for another kind and has the same meaning is taken along."""
        before = {name: text for name, text in self.values.items() if text and name != "port"}
        self._show(HostKind(self.kind.currentData()))
        if before and not any(self.values.values()):
            self._fill(before)
        self._build()

    def _build(self) -> None:
        self.note.hide()
        self.built.emit(url_of(self._kind, self.values))

    # -- words -------------------------------------------------------------------------

    def _kind_name(self, kind: HostKind) -> str:
        return {
            HostKind.SOCKET: self.tr("A socket on this machine"),
            HostKind.SSH: self.tr("A socket on another machine, over SSH"),
            HostKind.TLS: self.tr("A port with TLS and certificates"),
            HostKind.PORT: self.tr("A port in plain text, on this machine"),
            HostKind.LIBVIRT: self.tr("libvirt on this machine"),
            HostKind.LIBVIRT_SSH: self.tr("libvirt on another machine, over SSH"),
            HostKind.LIBVIRT_TLS: self.tr("libvirt on another machine, over TLS"),
            HostKind.KUBEVIRT: self.tr("KubeVirt"),
            HostKind.FOLDER: self.tr("A folder that is carried by hand"),
        }[kind]

    def _field_name(self, kind: HostKind, name: str) -> str:
        if name == "path":
            return {
                HostKind.SOCKET: self.tr("Path of the socket"),
                HostKind.SSH: self.tr("Path of the socket on that machine"),
            }.get(kind, self.tr("Path of the folder"))
        return {
            "host": self.tr("Machine"),
            "user": self.tr("User, if not as ssh has it"),
            "port": self._port_name(kind),
            "certificates": self.tr("Folder of the certificates"),
            "server-name": self.tr("Name in its certificate, if another"),
            "domain": self.tr("Name of the VM"),
            "namespace": self.tr("Namespace"),
        }[name]

    def _port_name(self, kind: HostKind) -> str:
        if kind in (HostKind.TLS, HostKind.PORT):
            return self.tr("Port")
        return self.tr("Port, if not the usual one")


class HostUrlField(QWidget):
    """The URL as text in ``edit``, what is wrong with it in words, and the builder.

    Nothing is said about a URL before a person has finished to type it.
    ``edit``  stands elsewhere already, where ``say`` says what is wrong
    """

    def __init__(
        self,
        name: str,
        parent: QWidget | None = None,
        *,
        edit: QLineEdit | None = None,
        say: Callable[[str], object] | None = None,
    ) -> None:
        super().__init__(parent)
        self.edit = QLineEdit() if edit is None else edit
        self._problem = ""
        self.builder = HostUrlBuilder()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(TIGHT)
        if edit is None:
            self.edit.setAccessibleName(name)
            column.addWidget(self.edit)
        if say is None:
            line = ProblemLine(self.edit)
            column.addWidget(line)
            say = line.say
        self._say = say
        column.addWidget(self.builder)
        self.edit.textEdited.connect(self._typed)
        self.edit.editingFinished.connect(self.judge)
        self.builder.toggled.connect(self._unfold)
        self.builder.built.connect(self._take)

    @property
    def url(self) -> str:
        """The URL as it stands, without blanks around it."""
        return self.edit.text().strip()

    def set_url(self, url: str) -> None:
        """Fill it in, as if a person had typed it."""
        self._take(url)
        self.builder.show_url(url)

    @property
    def problem(self) -> str:
        """What is said to be wrong with it."""
        return self._problem

    def judge(self) -> bool:
        """Say what is wrong; whether nothing is. An empty field is for its owner to judge."""
        self._problem = problem_of(self.url) if self.url else ""
        self._say(self._problem)
        return not self.problem

    def _typed(self) -> None:
        if self.problem:
            self.judge()
        if self.builder.opened:
            self.builder.show_url(self.url)

    def _unfold(self, opened: bool) -> None:
        if opened:
            self.builder.show_url(self.url)

    def _take(self, url: str) -> None:
        self.edit.setText(url)
        self.judge()
