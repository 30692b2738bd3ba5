# SPDX-License-Identifier: Apache-2.0
"""Reads the URL of a KubeVirt VM: its namespace and name; the cluster is the kubeconfig's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from .url_parts import refuse, refuse_credentials, refuse_query

SCHEME: Final = "kubevirt"
_EXAMPLE: Final = "Write kubevirt://NAMESPACE/VM."
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class KubevirtAddress:
    """A VM of a cluster; which cluster, the user's kubeconfig says."""

    namespace: str
    name: str

    @property
    def url(self) -> str:
        """The URL of this address."""
        return f"{SCHEME}://{self.namespace}/{self.name}"

    @property
    def plaintext_remote(self) -> bool:
        """Never: virtctl talks TLS to the cluster."""
        return False


def kubevirt_from_url(rest: str) -> KubevirtAddress:
    """The address in what follows ``kubevirt:``. Raises UsageError ``bad-host-url``."""
    refuse_query(rest)
    if not rest.startswith("//"):
        refuse("host", "Two slashes go before the namespace.", _EXAMPLE)
    namespace, _, name = rest[2:].partition("/")
    refuse_credentials(namespace)
    for text, part in ((namespace, "host"), (name, "path")):
        if not _NAME.fullmatch(text):
            refuse(part, "Namespace and VM are names as Kubernetes has them.", _EXAMPLE)
    return KubevirtAddress(namespace, name)
