"""A certificate that this machine signs for itself: browsers give motion to secure pages only."""

from __future__ import annotations

import ipaddress
import shutil
import ssl
import subprocess
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from vskd.errors import VskdError

_DAYS = "30"


def self_signed(hosts: Iterable[str]) -> ssl.SSLContext:
    """A context with a fresh key and certificate for these names and addresses.

    Raises
    ------
    VskdError : openssl is not installed, or failed
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        raise VskdError(
            "--https needs the command openssl, which makes the certificate",
            hint="Install openssl, or serve the files of `vskd page` by a server that has a certificate",
        )
    with TemporaryDirectory() as folder:
        certificate, key = Path(folder, "certificate.pem"), Path(folder, "key.pem")
        command = [
            openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", _DAYS, "-subj", "/CN=vskd", "-addext", f"subjectAltName={','.join(map(_named, hosts))}",
            "-keyout", str(key), "-out", str(certificate),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise VskdError(f"openssl made no certificate: {done.stderr.strip()[-300:]}", hint="Update openssl")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
    return context


def _named(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host.strip('[]'))}"
    except ValueError:
        return f"DNS:{host}"
