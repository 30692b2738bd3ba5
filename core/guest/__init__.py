# SPDX-License-Identifier: Apache-2.0
"""Guest profiles: what the owner agreed should run, and what launches that allows."""
