# SPDX-License-Identifier: Apache-2.0
"""The page of encrypted images: build one, watch it grow, and look into those that there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QWidget

from watchword.core.errors import WatchwordError
from watchword.core.image.order import BuiltImage, Progress, Stage
from watchword.core.secret import Secret

from ..bridge import Bridge, Job, Report
from ..image_service import ImageForm, ImageService
from ..vault_gate import VaultGate
from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine
from ..widgets.page_frame import PageFrame
from ..widgets.path_field import PathField
from ..widgets.tones import Tone
from .guests_fields import Field
from .image_form import ImageFormView
from .image_look import ImageLook
from .image_rekey import ImageRekey
from .image_result import ImageResult
from .page_work import PageWork, lay_out_now


class ImagePage(PageFrame):
    """The vault is opened before anything is built; every call goes over the bridge.

    ``rehearseWanted``  with the guest's name and its image
    ``launchWanted``    with the guest's name
    """

    left = Signal()
    rehearseWanted = Signal(str, str)
    launchWanted = Signal(str)

    def __init__(
        self, bridge: Bridge, service: ImageService, parent: QWidget | None = None
    ) -> None:
        title = self.tr("Build an encrypted image")
        super().__init__(
            title,
            self.tr("A disk that only your guest opens, once it has proved what it is."),
            parent,
        )
        self.title, self.icon = title, "locked"
        self._bridge = bridge
        self._service = service
        self._job: Job | None = None
        self._built: BuiltImage | None = None
        self.banner, self.line = Banner(), BusyLine()
        self._quiet = BusyLine()
        self.work = PageWork(bridge, self._quiet, self.banner, self)
        self.gate = VaultGate(bridge, service.vaults, self)
        self.form, self.result = ImageFormView(), ImageResult()
        self.look = ImageLook(bridge, service, self.gate)
        self.rekey = ImageRekey(bridge, service, self.gate)
        for widget in (
            self.banner,
            self.line,
            self._quiet,
            self.form,
            self.result,
            self.look,
            self.rekey,
        ):
            self.content.addWidget(widget)
        self.result.hide()
        self._connect()

    def _connect(self) -> None:
        self.form.buildWanted.connect(self._ask_vault)
        self.form.leaveWanted.connect(self.left)
        self.rekey.busyChanged.connect(self.form.setDisabled)
        for fold in (self.look, self.rekey):
            fold.told.connect(self._show_told)
        self.form.unsound.connect(self._show_field)
        self.gate.refused.connect(self._show_error)
        self.line.cancelled.connect(self.cancel)
        self.result.leaveWanted.connect(self._leave_result)
        self.result.anotherWanted.connect(self.show_form)
        self.result.rehearseWanted.connect(self._rehearse)
        self.result.launchWanted.connect(self._launch)
        recovery = self.result.recovery
        recovery.showWanted.connect(lambda: self._fetch(recovery.show_key))
        recovery.copyWanted.connect(lambda: self._fetch(recovery.copy_key))

    def widget(self) -> QWidget:
        """Itself."""
        return self

    def refresh(self) -> None:
        """Nothing here changes by itself."""

    @property
    def building(self) -> bool:
        """Whether an image is being built."""
        return self._job is not None

    @property
    def rekeying(self) -> bool:
        """Whether an image is being given another key."""
        return self.rekey.busy

    # -- building ------------------------------------------------------------------------

    @Slot(object)
    def _ask_vault(self, form: ImageForm) -> None:
        self.banner.clear()
        self.gate.open_then(lambda: self.build(form))

    def build(self, form: ImageForm) -> None:
        """Build what was filled in; one image at a time."""
        if self._job is not None:
            return

        async def work(report: Report) -> BuiltImage:
            return await self._service.build(form, report)

        self.banner.clear()
        for part in (self.form, self.rekey):
            part.setEnabled(False)
        self.line.begin(self.tr("Beginning…"))
        self._job = self._bridge.submit(work)
        self._job.progress.connect(self._show_progress)
        self._job.succeeded.connect(self._show_built)
        self._job.failed.connect(self._show_error)
        self._job.cancelled.connect(self._say_cancelled)
        self._job.finished.connect(self._end)
        self.scroll_to_top()
        self.line.cancel.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot()
    def cancel(self) -> None:
        """Build no further; nothing is left of it."""
        if self._job is not None:
            self._job.cancel()

    @Slot(object)
    def _show_progress(self, progress: Progress) -> None:
        if not self.line.cancel.isEnabled():  # it is being cancelled, and says so
            return
        words = self._stage(progress.stage)
        if progress.total:
            many = self.tr("{stage}: {done} of {total} MiB")
            words = many.format(
                stage=words, done=progress.done >> 20, total=max(1, progress.total >> 20)
            )
        else:
            words += "…"
        self.line.say(words, progress.done / progress.total if progress.total else None)

    def _stage(self, stage: Stage) -> str:
        return {
            Stage.SURVEY: self.tr("Step 1 of 6, looking through the root"),
            Stage.FILL: self.tr("Step 2 of 6, making its file system"),
            Stage.CHANGE: self.tr("Step 3 of 6, putting in what opens the disk"),
            Stage.ENCRYPT: self.tr("Step 4 of 6, encrypting"),
            Stage.CONVERT: self.tr("Step 5 of 6, making a qcow2 of it"),
            Stage.FINISH: self.tr("Step 6 of 6, keeping its keys in the vault"),
        }[stage]

    @Slot(object)
    def _show_built(self, built: BuiltImage) -> None:
        self._built = built
        self.result.show_image(built, self._service.note)
        self.form.hide()
        self.look.hide()
        self.rekey.hide()
        self.result.show()
        lay_out_now()
        self.scroll_to_top()
        self.result.recovery.showing.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot()
    def _say_cancelled(self) -> None:
        self.banner.show_message(
            Tone.INFO,
            self.tr("Cancelled"),
            self.tr("Nothing is left of it: no image, no keys and no profile."),
        )

    @Slot()
    def _end(self) -> None:
        self._job = None
        self.line.end()
        for part in (self.form, self.rekey):
            part.setEnabled(True)

    @Slot(object)
    def _show_told(self, widget: QWidget) -> None:
        lay_out_now()
        self.show_widget(widget)

    @Slot(object)
    def _show_error(self, error: WatchwordError) -> None:
        self.banner.show_error(error)
        self.show_widget(self.banner)

    @Slot(object)
    def _show_field(self, field: QWidget) -> None:
        self.show_widget(field)
        inner = field.edit if isinstance(field, PathField) else field
        inner = inner.widget if isinstance(inner, Field) else inner
        inner.setFocus(Qt.FocusReason.OtherFocusReason)

    # -- what came of it -------------------------------------------------------------------

    @Slot()
    def show_form(self) -> None:
        """Fill in another one; what stands there is easily changed."""
        self.result.hide()
        self.form.show()
        self.look.show()
        self.rekey.show()
        self.banner.clear()
        self.scroll_to_top()
        self.form.output.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot()
    def _leave_result(self) -> None:
        self.show_form()
        self.left.emit()

    def _fetch(self, then: Callable[[Secret], object]) -> None:
        if self._built is not None:
            call = partial(self._service.recovery_key, self._built.recovery_entry)
            self.work.start(self.tr("Looking into the vault…"), call, then)

    @Slot()
    def _rehearse(self) -> None:
        built = self._built
        if built is not None and built.profile is not None:
            self.rehearseWanted.emit(built.profile, str(built.path))

    @Slot()
    def _launch(self) -> None:
        built = cast("BuiltImage", self._built)
        self.launchWanted.emit(str(built.profile))
