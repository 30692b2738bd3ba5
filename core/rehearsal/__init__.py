# SPDX-License-Identifier: Apache-2.0
"""A whole launch against a simulated platform that it starts."""
