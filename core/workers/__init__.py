# SPDX-License-Identifier: Apache-2.0
"""Launches on many machines: signed jobs, enrolled workers, and who has sealed for whom."""
