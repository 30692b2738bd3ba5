# SPDX-License-Identifier: Apache-2.0
"""Parses one line of JSON from a hostile peer: UTF-8, an object, and nested only so deep."""

from __future__ import annotations

from ..bounded_json import parse_json
from ..errors import BadInput
from .violations import Rule, RuleBroken


def parse_object(line: bytes, depth_limit: int) -> dict[str, object]:
    """The JSON object in ``line``, which the caller has bounded in size.

    Raises RuleBroken: JSON_DEPTH if it nests deeper than ``depth_limit``, JSON if it is
    not one object in UTF-8 with plain numbers.
    """
    rule = Rule.JSON
    value: object = None
    try:
        value = parse_json(line.decode("utf-8"), "message", deepest=depth_limit)
    except UnicodeDecodeError:
        pass
    except BadInput as error:
        rule = Rule.JSON_DEPTH if error.code == "json-too-deep" else Rule.JSON
    if not isinstance(value, dict):
        raise RuleBroken(rule)
    return value
