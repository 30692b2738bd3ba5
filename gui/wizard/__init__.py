# SPDX-License-Identifier: Apache-2.0
"""The launch wizard: its frame, and one file for each page."""
