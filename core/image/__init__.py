# SPDX-License-Identifier: Apache-2.0
"""Encrypted disk images: built, looked into and given new keys without root."""
