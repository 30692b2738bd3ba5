# SPDX-License-Identifier: Apache-2.0
"""Lets ``python -m watchword.gui`` be the window."""

import sys

from .app import main

sys.exit(main())
