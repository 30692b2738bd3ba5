# SPDX-License-Identifier: Apache-2.0
"""What this machine has of what Watchword uses, and the line that gets what it lacks."""
