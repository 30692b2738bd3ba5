# SPDX-License-Identifier: Apache-2.0
"""Widgets that more than one page uses."""
