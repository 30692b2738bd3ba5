# SPDX-License-Identifier: Apache-2.0
"""What a host is given, and what it has to start a VM with."""
