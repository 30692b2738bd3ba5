# SPDX-License-Identifier: Apache-2.0
"""Launches on the owner's behalf: requests for blobs, and paused VMs that wait for a secret."""
