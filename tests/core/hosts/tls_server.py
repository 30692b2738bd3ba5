# SPDX-License-Identifier: Apache-2.0
"""Certificates made for one test, and a real QEMU that serves QMP behind them."""

from __future__ import annotations

import datetime
import ipaddress
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from watchword.core.hosts.tls_url import TlsAddress

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
START_SECONDS = 60


class Authority:
    """A CA of one test's own; ``issue`` writes what QEMU's tls-creds-x509 reads."""

    def __init__(self, name: str = "ca") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = self._builder(name, self._key.public_key(), NOW - 2 * DAY, NOW + 30 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        builder = builder.add_extension(usage, True)
        self.certificate = builder.sign(self._key, hashes.SHA256())

    def write(self, path: Path) -> Path:
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def issue(
        self,
        folder: Path,
        role: str,
        *,
        names: tuple[str, ...] = ("127.0.0.1", "::1", "localhost"),
        since: datetime.datetime = NOW - 2 * DAY,
        until: datetime.datetime = NOW + 30 * DAY,
        password: bytes | None = None,
    ) -> None:
        """``server-`` or ``client-cert.pem`` and ``-key.pem`` in a folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        purpose = {
            "server": ExtendedKeyUsageOID.SERVER_AUTH,
            "client": ExtendedKeyUsageOID.CLIENT_AUTH,
        }[role]
        builder = self._builder("owner", key.public_key(), since, until)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), False)
        if role == "server":
            alternatives = x509.SubjectAlternativeName([general_name(name) for name in names])
            builder = builder.add_extension(alternatives, False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pem = serialization.Encoding.PEM
        (folder / f"{role}-cert.pem").write_bytes(certificate.public_bytes(pem))
        lock = serialization.NoEncryption()
        if password is not None:
            lock = serialization.BestAvailableEncryption(password)
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, lock)
        path = folder / f"{role}-key.pem"
        path.touch(0o600)
        path.write_bytes(private)

    def folder(self, path: Path, *roles: str, **details: object) -> Path:
        """A folder as tls-creds-x509 wants it."""
        path.mkdir()
        self.write(path / "ca-cert.pem")
        for role in roles:
            self.issue(path, role, **details)
        return path

    def _builder(self, name, public_key, begin, end):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
        )


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Qemu:
    """A QEMU without a machine whose monitor is behind TLS; a context that ends it."""

    def __init__(
        self, binary: Path, credentials: Path | None, *options: str, priority: str = "NORMAL"
    ) -> None:
        self.port = free_port()
        chardev = f"socket,id=m,host=127.0.0.1,port={self.port},server=on,wait=off"
        command = [str(binary), "-machine", "none", "-nodefaults", "-display", "none"]
        if credentials is not None:
            given = f"dir={credentials},endpoint=server,verify-peer=on,priority={priority}"
            command += ["-object", f"tls-creds-x509,id=tls0,{given}"]
            chardev += ",tls-creds=tls0"
        for option in options:
            if option.startswith("tls-authz="):
                chardev += f",{option}"
            else:
                command += ["-object", option]
        command += ["-chardev", chardev, "-mon", "chardev=m,mode=control"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        )

    def address(self, folder: Path | None = None, **files: object) -> TlsAddress:
        return TlsAddress("127.0.0.1", self.port, None if folder is None else str(folder), **files)

    def kill(self) -> None:
        """End it as a host does that loses power."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def __enter__(self) -> Qemu:
        deadline = time.monotonic() + START_SECONDS
        # Not by connecting: it serves one client at a time, and a probe would be one.
        while not listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise AssertionError("QEMU does not listen")
            time.sleep(0.01)
        return self

    def __exit__(self, *problem: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        _, words = self._process.communicate()
        if self._process.returncode > 0:
            print(words.decode("utf-8", "replace"))


def listens(port: int) -> bool:
    lines = Path("/proc/net/tcp").read_text().splitlines()
    return any(f":{port:04X} " in line and " 0A " in line for line in lines)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
