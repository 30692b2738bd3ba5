# SPDX-License-Identifier: Apache-2.0
"""Fusion with buttons, fields and scroll bars that are plain, and that are seen in the dark too.

It takes the place of an application style sheet, under which a palette that is changed
while the program runs reaches no widget that is already there.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPalette, QPen
from PySide6.QtWidgets import (
    QProxyStyle,
    QPushButton,
    QStyle,
    QStyleOption,
    QStyleOptionButton,
    QStyleOptionComboBox,
    QStyleOptionComplex,
    QStyleOptionFrame,
    QStyleOptionSlider,
    QToolButton,
    QWidget,
)

from .fonts import SMALL, TIGHT
from .icons import paint_icon
from .tones import accent, line, mixed, muted

_CORNER: Final = 5.0
_SCROLL_BAR: Final = 12
_SHORTEST_HANDLE: Final = 28
PRIMARY: Final = "primary"
"""A property: set it to True on the one button of a page that goes on."""
_FIELDS: Final = (
    QStyle.ContentsType.CT_PushButton,
    QStyle.ContentsType.CT_LineEdit,
    QStyle.ContentsType.CT_ComboBox,
    QStyle.ContentsType.CT_SpinBox,
)


def _state(option: QStyleOption, flag: QStyle.StateFlag) -> bool:
    return bool(option.state & flag)


def field_edge(palette: QPalette) -> QColor:
    """The line around what can be filled in or ticked: plain to see on cards and windows."""
    return mixed(muted(palette), palette.color(QPalette.ColorRole.Base), 0.75)


class CalmStyle(QProxyStyle):
    """The program's style; stateless, so one serves all palettes."""

    def __init__(self) -> None:
        super().__init__("Fusion")

    # -- sizes -----------------------------------------------------------------

    def pixelMetric(
        self,
        metric: QStyle.PixelMetric,
        option: QStyleOption | None = None,
        widget: QWidget | None = None,
    ) -> int:
        """Scroll bars are slim, boxes grow with the font."""
        if metric == QStyle.PixelMetric.PM_ScrollBarExtent:
            return _SCROLL_BAR
        return super().pixelMetric(metric, option, widget)

    def sizeFromContents(
        self,
        kind: QStyle.ContentsType,
        option: QStyleOption,
        size: QSize,
        widget: QWidget | None = None,
    ) -> QSize:
        """Fields are as high as buttons."""
        # The stubs forget that Qt asks without a widget too.
        result = super().sizeFromContents(kind, option, size, widget)  # type: ignore[arg-type]
        if kind in _FIELDS and widget is not None:
            result.setHeight(widget.fontMetrics().height() + 14)
        if kind == QStyle.ContentsType.CT_PushButton:
            result.setWidth(result.width() + 2 * SMALL)
        return result

    def subControlRect(
        self,
        control: QStyle.ComplexControl,
        option: QStyleOptionComplex,
        part: QStyle.SubControl,
        widget: QWidget | None = None,
    ) -> QRect:
        """Scroll bars have no arrows, so that the handle has the whole length."""
        is_bar = control == QStyle.ComplexControl.CC_ScrollBar
        if not is_bar or not isinstance(option, QStyleOptionSlider):
            return super().subControlRect(control, option, part, widget)  # type: ignore[arg-type]
        handle = _handle(option)
        whole = QRect(option.rect)
        sub = QStyle.SubControl
        if part == sub.SC_ScrollBarSlider:
            return handle
        if part == sub.SC_ScrollBarGroove:
            return whole
        upright = option.orientation == Qt.Orientation.Vertical
        if part == sub.SC_ScrollBarSubPage:
            if upright:
                whole.setBottom(handle.top() - 1)
            else:
                whole.setRight(handle.left() - 1)
            return whole
        if part == sub.SC_ScrollBarAddPage:
            if upright:
                whole.setTop(handle.bottom() + 1)
            else:
                whole.setLeft(handle.right() + 1)
            return whole
        return QRect()

    def subElementRect(
        self, element: QStyle.SubElement, option: QStyleOption, widget: QWidget | None = None
    ) -> QRect:
        """What is typed does not touch the line around it."""
        rect = super().subElementRect(element, option, widget)  # type: ignore[arg-type]
        is_text = element == QStyle.SubElement.SE_LineEditContents
        if is_text and isinstance(option, QStyleOptionFrame) and option.lineWidth > 0:
            rect.adjust(TIGHT, 0, -TIGHT, 0)
        return rect

    # -- looks -----------------------------------------------------------------

    def drawPrimitive(
        self,
        element: QStyle.PrimitiveElement,
        option: QStyleOption,
        painter: QPainter,
        widget: QWidget | None = None,
    ) -> None:
        """Draw frames, fields and boxes; leave the rest to Fusion."""
        kinds = QStyle.PrimitiveElement
        if element == kinds.PE_PanelLineEdit and isinstance(option, QStyleOptionFrame):
            if option.lineWidth > 0:
                _draw_field(painter, option)
            return
        if element == kinds.PE_PanelButtonCommand and isinstance(option, QStyleOptionButton):
            _draw_button(painter, option, primary=_is_primary(widget))
        elif element == kinds.PE_FrameFocusRect:
            if not _shows_focus_itself(widget):
                # Fusion leaves less room around a tool button's icon than a ring needs.
                rect = widget.rect() if isinstance(widget, QToolButton) else option.rect
                _rounded(painter, rect, None, QPen(accent(option.palette), 2), 4)
        elif element == kinds.PE_IndicatorCheckBox:
            _draw_check_box(painter, option)
        elif element == kinds.PE_IndicatorRadioButton:
            _draw_radio_button(painter, option)
        elif element == kinds.PE_Frame:
            focus = _state(option, QStyle.StateFlag.State_HasFocus)
            pen = QPen(accent(option.palette), 2) if focus else QPen(line(option.palette), 1)
            _rounded(painter, option.rect, None, pen, 2)
        else:
            super().drawPrimitive(element, option, painter, widget)

    def drawControl(
        self,
        element: QStyle.ControlElement,
        option: QStyleOption,
        painter: QPainter,
        widget: QWidget | None = None,
    ) -> None:
        """Draw the words of a primary button in the colour that goes with its ground."""
        is_label = element == QStyle.ControlElement.CE_PushButtonLabel
        if is_label and isinstance(option, QStyleOptionButton) and _is_primary(widget):
            option = QStyleOptionButton(option)
            palette = QPalette(option.palette)
            for group in (QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive):
                words = palette.color(group, QPalette.ColorRole.HighlightedText)
                palette.setColor(group, QPalette.ColorRole.ButtonText, words)
            option.palette = palette
        super().drawControl(element, option, painter, widget)

    def drawComplexControl(
        self,
        control: QStyle.ComplexControl,
        option: QStyleOptionComplex,
        painter: QPainter,
        widget: QWidget | None = None,
    ) -> None:
        """Draw combo boxes, spin boxes and scroll bars; leave the rest to Fusion."""
        kinds, parts = QStyle.ComplexControl, QStyle.SubControl
        if control == kinds.CC_ComboBox and isinstance(option, QStyleOptionComboBox):
            _draw_field(painter, option)
            arrow = self.subControlRect(control, option, parts.SC_ComboBoxArrow, widget)
            _draw_arrow(painter, option, "open", arrow, 14)
        elif control == kinds.CC_SpinBox:
            _draw_field(painter, option)
            for part, name in ((parts.SC_SpinBoxUp, "up"), (parts.SC_SpinBoxDown, "open")):
                rect = self.subControlRect(control, option, part, widget)
                _draw_arrow(painter, option, name, rect, 11)
        elif control == kinds.CC_ScrollBar and isinstance(option, QStyleOptionSlider):
            _draw_scroll_bar(painter, option)
        else:
            super().drawComplexControl(control, option, painter, widget)


def _rounded(
    painter: QPainter, rect: QRect, fill: QColor | None, pen: QPen, corner: float = _CORNER
) -> None:
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(pen)
    painter.setBrush(fill if fill is not None else Qt.BrushStyle.NoBrush)
    half = pen.widthF() / 2
    painter.drawRoundedRect(QRectF(rect).adjusted(half, half, -half, -half), corner, corner)
    painter.restore()


def _is_primary(widget: QWidget | None) -> bool:
    return widget is not None and widget.property(PRIMARY) is True


def _shows_focus_itself(widget: QWidget | None) -> bool:
    return isinstance(widget, QPushButton) and not widget.isFlat()


def _draw_button(painter: QPainter, option: QStyleOptionButton, *, primary: bool) -> None:
    palette, states = option.palette, QStyle.StateFlag
    enabled = _state(option, states.State_Enabled)
    focus = enabled and _state(option, states.State_HasFocus)
    over = enabled and _state(option, states.State_MouseOver)
    down = _state(option, states.State_Sunken) or _state(option, states.State_On)
    fill = palette.color(QPalette.ColorRole.Button)
    edge = accent(palette) if over or focus else line(palette)
    if primary and enabled:
        fill = mixed(accent(palette), fill, 0.85 if over and not down else 1.0)
        edge = palette.color(QPalette.ColorRole.ButtonText) if focus else fill
    if down:
        fill = mixed(fill, palette.color(QPalette.ColorRole.ButtonText), 0.88)
    _rounded(painter, option.rect, fill, QPen(edge, 2 if focus else 1))


def _draw_field(painter: QPainter, option: QStyleOption) -> None:
    palette = option.palette
    enabled = _state(option, QStyle.StateFlag.State_Enabled)
    focus = enabled and _state(option, QStyle.StateFlag.State_HasFocus)
    ground = QPalette.ColorRole.Base if enabled else QPalette.ColorRole.Window
    pen = QPen(accent(palette), 2) if focus else QPen(field_edge(palette), 1)
    _rounded(painter, option.rect, palette.color(ground), pen)


def _draw_check_box(painter: QPainter, option: QStyleOption) -> None:
    palette, rect = option.palette, option.rect
    checked = _state(option, QStyle.StateFlag.State_On)
    partly = _state(option, QStyle.StateFlag.State_NoChange)
    if not checked and not partly:
        base = palette.color(QPalette.ColorRole.Base)
        _rounded(painter, rect, base, QPen(field_edge(palette), 1), 4)
        return
    fill = accent(palette)
    _rounded(painter, rect, fill, QPen(fill, 1), 4)
    mark = palette.color(QPalette.ColorRole.HighlightedText)
    paint_icon(painter, "check" if checked else "minus", QRectF(rect).adjusted(1, 1, -1, -1), mark)


def _draw_radio_button(painter: QPainter, option: QStyleOption) -> None:
    palette, rect = option.palette, option.rect
    on = _state(option, QStyle.StateFlag.State_On)
    base, round_ = palette.color(QPalette.ColorRole.Base), rect.height() / 2
    pen = QPen(accent(palette), 2) if on else QPen(field_edge(palette), 1)
    _rounded(painter, rect, base, pen, round_)
    if on:
        dot = rect.adjusted(4, 4, -4, -4)
        _rounded(painter, dot, accent(palette), QPen(accent(palette), 1), round_)


def _draw_arrow(painter: QPainter, option: QStyleOption, name: str, rect: QRect, side: int) -> None:
    colour = muted(option.palette)
    if not _state(option, QStyle.StateFlag.State_Enabled):
        colour = line(option.palette)
    place = QRectF(0, 0, side, side)
    place.moveCenter(QRectF(rect).center())
    paint_icon(painter, name, place, colour)


def _handle(option: QStyleOptionSlider) -> QRect:
    """Where the handle of a scroll bar is."""
    rect = option.rect
    upright = option.orientation == Qt.Orientation.Vertical
    length = rect.height() if upright else rect.width()
    low, high = option.minimum, option.maximum
    page = option.pageStep
    size = length if high <= low else length * page // (high - low + page)
    size = min(length, max(size, _SHORTEST_HANDLE))
    at = QStyle.sliderPositionFromValue(
        low,
        high,
        option.sliderPosition,
        length - size,
        option.upsideDown,
    )
    if upright:
        return QRect(rect.left(), rect.top() + at, rect.width(), size)
    return QRect(rect.left() + at, rect.top(), size, rect.height())


def _draw_scroll_bar(painter: QPainter, option: QStyleOptionSlider) -> None:
    palette = option.palette
    painter.fillRect(option.rect, palette.color(QPalette.ColorRole.Window))
    if option.maximum <= option.minimum:
        return
    over = _state(option, QStyle.StateFlag.State_MouseOver)
    window = palette.color(QPalette.ColorRole.Window)
    colour = mixed(muted(palette), window, 0.9 if over else 0.55)
    inset = (_SCROLL_BAR - SMALL) // 2
    handle = _handle(option).adjusted(inset, inset, -inset, -inset)
    _rounded(painter, handle, colour, QPen(Qt.PenStyle.NoPen), SMALL / 2)
