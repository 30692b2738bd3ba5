# SPDX-License-Identifier: Apache-2.0
"""Lets ``python -m watchword.core`` be the command line."""

import sys

from .cli.start import main

sys.exit(main())
