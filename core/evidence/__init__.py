# SPDX-License-Identifier: Apache-2.0
"""Signed documents of what was verified, that can be checked later and elsewhere."""
