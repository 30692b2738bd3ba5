# SPDX-License-Identifier: Apache-2.0
"""What AMD publishes: its root keys, the advisories about its processors."""
