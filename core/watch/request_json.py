# SPDX-License-Identifier: Apache-2.0
"""Reads what strangers write, as JSON, into events: bounded, and strict in every field.

    {"event": "asked", "request": ID, "guest": NAME, "host": URL, "firmware_sha256": HEX,
     "certificates": [{"name": TEXT, "data": BASE64}, …]}
    {"event": "paused", "host": URL, "dh_cert": BASE64, "launch": ID, "guest": NAME}
    {"event": "gone", "host": URL, "dh_cert": BASE64, "launch": ID}

``asked`` needs host or certificates; ``paused`` and ``gone`` need host alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..bounded_json import parse_json
from ..errors import BadInput
from ..files import decode_base64
from .events import Asked, Gone, Paused, Reply, WatchEvent
from .watch_errors import bad_request

LARGEST_REQUEST: Final = 1 << 20
"""Bytes of one request; a full chain has 15 KiB."""
_DEEPEST: Final = 4
_LONGEST_TEXT: Final = 2100
_LARGEST_CERTIFICATE: Final = 128 << 10
_MOST_CERTIFICATES: Final = 16
_GODH_BYTES: Final = 2084


def parse_event(data: bytes, source: str) -> WatchEvent:
    """The event in a request's bytes. BadInput ``bad-request``, or as base64 and JSON are refused.

    ``source``  which source it came by; a stranger has no say in that
    """
    fields = _Fields(data)
    event = fields.text("event")
    readers: Mapping[str, Callable[[_Fields, str], WatchEvent]] = {
        "asked": _asked,
        "paused": _paused,
        "gone": _gone,
    }
    if event not in readers:
        raise bad_request("event", "It takes “asked”, “paused” or “gone”.")
    read = readers[event](fields, source)
    fields.refuse_others()
    return read


def reply_json(reply: Reply) -> bytes:
    """One line of JSON with what a stranger may know of a reply."""
    return json.dumps(reply.as_json()).encode() + b"\n"


def refused_json(error: BadInput) -> bytes:
    """One line of JSON for a request that can't be read: what is wrong is the asker's to mend."""
    told = {"answer": "refused", "code": error.code, "title": error.title, "launch": None}
    return json.dumps({**told, "message": error.message}).encode() + b"\n"


def _asked(fields: _Fields, source: str) -> WatchEvent:
    return Asked(
        source=source,
        request=fields.text("request"),
        guest=fields.text("guest"),
        host=fields.optional("host"),
        certificates=fields.certificates(),
        firmware_sha256=fields.optional("firmware_sha256"),
    )


def _paused(fields: _Fields, source: str) -> WatchEvent:
    return Paused(
        source=source,
        host=fields.text("host"),
        godh=fields.godh(),
        launch=fields.optional("launch"),
        guest=fields.optional("guest"),
    )


def _gone(fields: _Fields, source: str) -> WatchEvent:
    return Gone(
        source=source,
        host=fields.text("host"),
        godh=fields.godh(),
        launch=fields.optional("launch"),
    )


class _Fields:
    """The fields of one JSON object, each asked for once."""

    def __init__(self, data: bytes) -> None:
        if len(data) > LARGEST_REQUEST:
            raise bad_request("the request", f"It has more than {LARGEST_REQUEST} bytes.")
        try:
            value = parse_json(data.decode(), "the request", deepest=_DEEPEST)
        except UnicodeDecodeError:
            raise bad_request("the request", "It is not UTF-8 text.") from None
        if not isinstance(value, dict):
            raise bad_request("the request", "It takes a JSON object.")
        self._left: dict[str, Any] = value

    def optional(self, name: str) -> str | None:
        """A text, None where there is none."""
        value = self._left.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TEXT:
            raise bad_request(name, f"It takes text of 1 to {_LONGEST_TEXT} characters.")
        return value

    def text(self, name: str) -> str:
        """A text that has to be there."""
        value = self.optional(name)
        if value is None:
            raise bad_request(name, "It is missing.")
        return value

    def godh(self) -> bytes | None:
        """What a ``dhCert`` holds: 2084 bytes."""
        text = self._left.pop("dh_cert", None)
        if text is None:
            return None
        if not isinstance(text, str):
            raise bad_request("dh_cert", "It takes base64 text.")
        data = decode_base64(text, "dh_cert", _GODH_BYTES)
        if len(data) != _GODH_BYTES:
            raise bad_request("dh_cert", f"It stands for {len(data)} bytes, not {_GODH_BYTES}.")
        return data

    def certificates(self) -> tuple[tuple[str, bytes], ...]:
        """Names and contents."""
        value = self._left.pop("certificates", None)
        if value is None:
            return ()
        if not isinstance(value, list) or not 0 < len(value) <= _MOST_CERTIFICATES:
            raise bad_request("certificates", f"It takes a list of 1 to {_MOST_CERTIFICATES}.")
        return tuple(_certificate(one) for one in value)

    def refuse_others(self) -> None:
        """BadInput for a field that means nothing here: it may have been meant to matter."""
        if self._left:
            raise bad_request("the request", f"It has {len(self._left)} fields of no meaning.")


def _certificate(value: object) -> tuple[str, bytes]:
    if not isinstance(value, dict) or value.keys() != {"name", "data"}:
        raise bad_request("certificates", "Each takes a name and data.")
    name, data = value["name"], value["data"]
    if not isinstance(name, str) or not isinstance(data, str) or not 0 < len(name) <= 100:
        raise bad_request("certificates", "A name has 1 to 100 characters; data is base64 text.")
    return name, decode_base64(data, "certificates", _LARGEST_CERTIFICATE)
