# SPDX-License-Identifier: Apache-2.0
"""How signed documents are read: strictly, nothing unknown let through, times and names bounded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .envelope import OpenedDocument, SignedKind

_FORM: Final = "%Y-%m-%dT%H:%M:%SZ"

Hex16 = Annotated[str, Field(pattern=r"\A[0-9a-f]{32}\z")]
Hex32 = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]
TimeText = Annotated[str, Field(pattern=r"\A[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z\z")]
WorkerName = Annotated[str, Field(pattern=r"\A[a-z0-9][a-z0-9.-]{0,62}\z")]


class Body(BaseModel):
    """A document as it was signed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_B = TypeVar("_B", bound=Body)


def read_body(kind: SignedKind, model: type[_B], opened: OpenedDocument, field: str) -> _B:
    """The document in a payload whose signature holds; BadInput ``WORD-unreadable``."""
    try:
        return model.model_validate_json(opened.payload)
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_input=False)[0]["loc"]))
        raise kind.unreadable(
            field,
            f"It is signed, but not of the form that this version knows, at “{place[:80]}”.",
        ) from None


def time_text(moment: datetime) -> str:
    """The time as documents have it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime(_FORM)


def parse_time(text: str) -> datetime | None:
    """The time of such a text; None where there is no such time."""
    try:
        return datetime.strptime(text, _FORM).replace(tzinfo=UTC)
    except ValueError:
        return None
