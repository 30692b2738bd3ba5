# SPDX-License-Identifier: Apache-2.0
"""Says why TLS with a host failed: the wrong name, the wrong CA, a refused certificate."""

from __future__ import annotations

import re
import ssl
from typing import Final

from ..errors import HostError
from .host_words import visible
from .tls_url import TlsAddress

_NAME_MISMATCH: Final = frozenset({62, 64})
_NOT_YET, _EXPIRED = 9, 10
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST"})
_ALERT: Final = re.compile(r"ALERT")
_ABOUT_US: Final = re.compile(
    r"CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR|HANDSHAKE_FAILURE|INSUFFICIENT_SECURITY"
)
_TOO_OLD: Final = re.compile(r"PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW")


def handshake_failed(address: TlsAddress, error: OSError) -> HostError:
    """Why the connection did not become a TLS one."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _not_believed(address, error)
    reason = _reason(error)
    if reason in _NOT_TLS:
        return _error(
            address,
            "host-not-tls",
            "This port does not speak TLS",
            f"What answers at {address.url} does not begin TLS. Most likely the port is a plain "
            "QMP port, or another program's.",
            "Give QEMU's chardev tls-creds=…, or name the right port.",
        )
    if _TOO_OLD.search(reason):
        return _error(
            address,
            "tls-too-old",
            "The host's TLS is too old",
            f"{address.url} offers no TLS 1.2 or later.",
            "Have the host's QEMU and GnuTLS updated.",
        )
    if _refuses_us(reason):
        return certificate_refused(address)
    return _error(
        address,
        "tls-failed",
        "TLS could not be set up",
        f"{address.url} broke the connection off while TLS was set up.{_quoted(error)} Most "
        "likely QEMU is just ending, has no certificate of its own, offers no TLS 1.2, or does "
        "not speak TLS at all.",
        "Look at the VM on the host, at its tls-creds-x509 object and at QEMU's own log.",
    )


def no_handshake(address: TlsAddress, seconds: float) -> HostError:
    """Connected, but nobody began TLS."""
    return _error(
        address,
        "host-socket-busy",
        "Connected, but nobody speaks",
        f"{address.url} took the connection and did not begin TLS within {seconds:g} s. Most "
        "likely another client holds this port.",
        "QEMU serves one client at a time: close the other client, or give the VM a QMP port of "
        "its own. If the port speaks another protocol, name the right one.",
        seconds=seconds,
    )


def refused_after_handshake(address: TlsAddress, error: BaseException | None) -> HostError | None:
    """A host that ends the connection before it greets, though TLS stands; None if for more.

    With TLS 1.3 a client's certificate is looked at when this side holds the handshake for
    done; a QEMU before 9 then just closes.
    """
    if error is None or _refuses_us(_reason(error)) or not isinstance(error, ssl.SSLError):
        return certificate_refused(address)
    return None


def certificate_refused(address: TlsAddress) -> HostError:
    """The host does not want whoever we are."""
    ours = "shows no certificate" if address.client_files is None else "may show the wrong one"
    return _error(
        address,
        "tls-client-refused",
        "The host does not accept our certificate",
        f"TLS with {address.url} stood, and the host closed the connection before its QMP "
        f"greeting. Most likely it does not accept this client, which {ours}: QEMU wants one "
        "from its own CA (verify-peer=on), and one that its tls-authz names; or QEMU is just "
        "ending.",
        "Name certificate and key (dir=, or cert= and key=) that the host's CA has signed for "
        "clients, and that is not expired.",
    )


def _not_believed(address: TlsAddress, error: ssl.SSLCertVerificationError) -> HostError:
    name = visible(address.name_to_verify)
    if error.verify_code in _NAME_MISMATCH:
        return _error(
            address,
            "tls-wrong-name",
            "The host's certificate is for another name",
            f"The certificate of {address.url} does not name {name}. Either it is another host, "
            "or its certificate has the name in a form that does not count (only subjectAltName "
            "does).",
            "If the certificate is right and only the address differs, add server-name=NAME to "
            "the URL; else have the host given a certificate with its name.",
            name=name,
        )
    if error.verify_code in (_EXPIRED, _NOT_YET):
        when = "has expired" if error.verify_code == _EXPIRED else "is not valid yet"
        return _error(
            address,
            "tls-certificate-expired",
            f"The host's certificate {when}",
            f"The certificate of {address.url}, or its CA's, {when}.",
            "Have it renewed, and check this machine's clock.",
        )
    return _error(
        address,
        "tls-wrong-ca",
        "The host's certificate is not from your CA",
        f"The certificate of {address.url} does not lead to {visible(address.ca_file)}"
        f" ({visible(error.verify_message)}). Either it is another host, or the file is "
        "another CA's.",
        "Ask the operator which CA signed it, and check the file's fingerprint with him on "
        "another way.",
    )


def _refuses_us(reason: str) -> bool:
    return bool(_ALERT.search(reason) and _ABOUT_US.search(reason))


def _reason(error: BaseException) -> str:
    return str(error.reason or "") if isinstance(error, ssl.SSLError) else ""


def _quoted(error: OSError) -> str:
    reason = _reason(error).replace("_", " ").lower()
    return f" OpenSSL says: {visible(reason)}." if reason else ""


def _error(
    address: TlsAddress,
    code: str,
    title: str,
    message: str,
    remedy: str,
    **more: object,
) -> HostError:
    return HostError(code, title, message, remedy, {"host": address.url, **more})
