# SPDX-License-Identifier: Apache-2.0
"""Where secrets rest: an encrypted file, and the ways to come by the key that opens it."""
