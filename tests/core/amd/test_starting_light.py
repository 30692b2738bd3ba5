# SPDX-License-Identifier: Apache-2.0
"""Commands that ask nobody start without the libraries that ask."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("httpx", "httpcore", "stamina", "tenacity", "truststore", "platformdirs", "anyio")
CODE = f"""
import sys
import watchword.core.amd.cek_source
import watchword.core.cli.digest_command
import watchword.core.cli.platform_command
print(sorted(set({HEAVY}) & set(sys.modules)))
"""


def test_neither_http_nor_retries_are_imported_before_they_are_needed():
    result = subprocess.run(
        [sys.executable, "-P", "-c", CODE], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "[]"
