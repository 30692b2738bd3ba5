# SPDX-License-Identifier: Apache-2.0
"""Watchword's core: everything the program does, without a screen."""
