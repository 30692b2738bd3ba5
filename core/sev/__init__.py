# SPDX-License-Identifier: Apache-2.0
"""AMD SEV and SEV-ES as pure functions over bytes: formats, algorithms, verdicts."""
