# SPDX-License-Identifier: Apache-2.0
"""Reads and writes libvirt's domain XML; what is read may come from a hostile host.

No document types (and so no entities), bounded size and depth.
Source: libvirt docs/formatdomain.
"""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

from ..errors import BadInput

LARGEST_DOMAIN: Final = 1 << 20
"""Bytes of one domain's XML; real ones have a few thousand."""
_DEEPEST: Final = 40
_QEMU_NAMESPACE: Final = "http://libvirt.org/schemas/domain/qemu/1.0"
NAMESPACE: Final = "http://watchword.local/domain/1"
"""Of the one element in a domain's metadata that is Watchword's."""


class _Forbidden(Exception):
    """Something that no domain's XML has; the text says what."""


def parse_domain(text: str | bytes, field: str) -> ET.Element:
    """The root element ``domain``. Raises BadInput ``bad-domain-xml``; ``field`` names the file."""
    data = text.encode() if isinstance(text, str) else text
    if len(data) > LARGEST_DOMAIN:
        raise _bad(field, f"It has more than {LARGEST_DOMAIN} bytes.")
    try:
        root = _parse(data)
    except _Forbidden as problem:
        raise _bad(field, f"It {problem}.") from None
    except (ET.ParseError, expat.ExpatError, ValueError, LookupError):
        raise _bad(field, "It is not well-formed XML.") from None
    if root.tag != "domain":
        raise _bad(field, "Its outermost element is not <domain>.")
    return root


def _parse(data: bytes) -> ET.Element:
    builder = ET.TreeBuilder(insert_comments=True)
    parser = expat.ParserCreate(namespace_separator="}")
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise _Forbidden(f"nests elements more than {_DEEPEST} deep")
        builder.start(_name(tag), {_name(key): value for key, value in attributes.items()})

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_name(tag))

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.CommentHandler = builder.comment
    parser.StartDoctypeDeclHandler = _no_doctype
    parser.Parse(data, True)
    return builder.close()


def _name(tag: str) -> str:
    return "{" + tag if "}" in tag else tag


def _no_doctype(*declaration: object) -> None:
    del declaration
    raise _Forbidden("has a document type declaration, which no domain needs")


def element_text(root: ET.Element) -> str:
    """A domain, or a part of one, as text, indented, ending in a newline."""
    for prefix, namespace in (("qemu", _QEMU_NAMESPACE), ("watchword", NAMESPACE)):
        ET.register_namespace(prefix, namespace)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def child(parent: ET.Element, *path: str) -> ET.Element:
    """The element at this path below ``parent``; made where it lacks."""
    for tag in path:
        found = parent.find(tag)
        parent = ET.SubElement(parent, tag) if found is None else found
    return parent


def remove_all(parent: ET.Element, tag: str) -> bool:
    """Remove the elements of this name; whether there were any."""
    found = parent.findall(tag)
    for one in found:
        parent.remove(one)
    return bool(found)


def _bad(field: str, problem: str) -> BadInput:
    return BadInput(
        "bad-domain-xml",
        field,
        problem,
        "Give what `virsh dumpxml --inactive --security-info DOMAIN` prints.",
    )
