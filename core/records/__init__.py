# SPDX-License-Identifier: Apache-2.0
"""The one SQLite file that launches, packets, ledger and evidence share."""
