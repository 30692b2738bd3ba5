# SPDX-License-Identifier: Apache-2.0
"""Many launches without a screen: the manifest, the runner, the results."""
