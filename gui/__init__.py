# SPDX-License-Identifier: Apache-2.0
"""Watchword on the screen: the only package that knows Qt."""
