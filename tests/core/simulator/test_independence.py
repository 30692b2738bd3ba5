# SPDX-License-Identifier: Apache-2.0
"""The simulator is the other side of the protocol: it shares no code with the owner's side."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

SHARED = {"errors", "secret"}


def test_it_imports_nothing_of_the_owners_side():
    package = Path(importlib.import_module("watchword.core.simulator").__file__).parent
    modules = sorted(package.glob("*.py"))
    own = {path.stem for path in modules}
    assert len(modules) > 10
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                where = (node.level, (node.module or "").split(".")[0])
                assert where[0] <= 2, path.name
                assert where[1] in (own if where[0] == 1 else SHARED), (path.name, where)
            names = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert not (name or "").startswith(("watchword", "core", "qemu")), path.name
