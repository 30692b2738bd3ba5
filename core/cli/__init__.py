# SPDX-License-Identifier: Apache-2.0
"""The command line: a thin skin over the core."""
