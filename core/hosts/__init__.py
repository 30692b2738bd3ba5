# SPDX-License-Identifier: Apache-2.0
"""Where a VM runs, and how its owner talks to it."""
