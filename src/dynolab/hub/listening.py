"""Where a hub listens, and with which certificate: looked at before anything is started."""

from __future__ import annotations

import errno
import socket
import ssl
from pathlib import Path

from dynolab.errors import Conflict, SpecInvalid

_WAYS_OUT = {
    errno.EADDRINUSE: "another program has it, perhaps another hub: choose another with --port",
    errno.EADDRNOTAVAIL: "this machine has no such address: --host 0.0.0.0 listens at all that it has",
    errno.EACCES: "ports below 1024 are for root, or for a service with CAP_NET_BIND_SERVICE: choose another with --port",
}


def listen(host: str, port: int) -> socket.socket:
    """A socket that has the address, so that nobody else gets it. Raises :class:`Conflict`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        hint = _WAYS_OUT.get(error.errno or 0, "--host names one of this machine's addresses, --port a free port")
        raise Conflict(f"the address {host}:{port} cannot be listened at: {error.strerror}", hint=hint) from error
    return listening


def check_certificate(certificate: Path | None, key: Path | None) -> None:
    """Raises :class:`SpecInvalid` for files that the server could not start with."""
    if certificate is None or key is None:
        return
    for name, file in (("tls_certificate", certificate), ("tls_key", key)):
        try:
            file.read_bytes()
        except OSError as error:
            raise SpecInvalid(
                f"{name}: {file} cannot be read: {error.strerror}",
                hint="name a file that the hub's user may read (PEM)",
            ) from error

    def no_password() -> str:
        raise SpecInvalid(f"the key {key} is encrypted", hint="give one that needs no password")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, no_password)
    except OSError as error:  # ssl.SSLError is one
        raise SpecInvalid(
            f"{certificate} and {key} are no certificate and its key: {error.strerror or error}",
            hint="PEM files: the certificate with those of its issuers after it, and the key",
        ) from error
