# SPDX-License-Identifier: Apache-2.0
"""Finds what looks like a credential in a kernel command line, without repeating it."""

from __future__ import annotations

import re
from typing import Final

# Whatever follows such a word can be read by everybody in the guest and on the host, and
# stands in evidence. A path after it names a file, which is nothing secret.
_WORD: Final = re.compile(
    r"(?<![\w.-])(?P<name>[\w.-]*?(?:passwd|password|passphrase|passcode|pwd|secret|token"
    r"|credentials?|(?:api|ssh|private|secret|luks|disk)key|(?<![a-z])key))=(?![\s/]|$)",
    re.IGNORECASE,
)
_URL: Final = re.compile(r"(?P<name>[a-z][a-z0-9+.-]{0,20}://)[^/\s@:]*:[^/\s@]+@", re.IGNORECASE)
_MOST: Final = 20


def credential_words(cmdline: str) -> tuple[str, ...]:
    """The words before what looks like a credential, such as ``password=``, each once.

    At most 20 come back; of a URL with a password, its scheme.
    """
    words = [f"{match['name'][-60:]}=" for match in _WORD.finditer(cmdline)]
    words += [match["name"] for match in _URL.finditer(cmdline)]
    return tuple(dict.fromkeys(words))[:_MOST]
