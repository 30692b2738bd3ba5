# SPDX-License-Identifier: Apache-2.0
"""A guest owner's launch: steps, facts, and what drives them."""
