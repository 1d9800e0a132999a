"""Collects the certificates of authorities in one file, which urllib3 reads for each connection."""

from __future__ import annotations

import atexit
import functools
import os
import re
import ssl
import tempfile
from pathlib import Path

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# The files of trusted certificates on each system; the administrator's own are among them.
_SYSTEMS = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine, NixOS
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS, FreeBSD, OpenBSD
)


@functools.cache
def bundle(paths: tuple[str, ...]) -> str | None:
    """A file with the certificates of files and of the files in folders; None if none of them has one.

    A single file is returned itself.  For more files, or a folder, a file is made that is removed at the process's end.
    """
    certificates = [data for path in paths for data in _certificates(Path(path))]
    if not certificates:
        return None
    if len(paths) == 1 and Path(paths[0]).is_file():
        return paths[0]
    return _temporary_file(b"\n".join(dict.fromkeys(certificates)) + b"\n")


@functools.cache
def system() -> str:
    """A file with the certificates that this system trusts.  On Windows, it is made from the system's store."""
    for path in _SYSTEMS:
        if bundle((path,)):
            return path
    trusted = ssl.create_default_context().get_ca_certs(binary_form=True)
    return _temporary_file("".join(map(ssl.DER_cert_to_PEM_cert, trusted)).encode())


def _certificates(path: Path) -> list[bytes]:
    try:
        files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
        return [data for file in files for data in _PEM.findall(file.read_bytes())]
    except OSError:
        return []


def _temporary_file(data: bytes) -> str:
    handle, name = tempfile.mkstemp(prefix="indexer-certificates-", suffix=".pem")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    atexit.register(Path(name).unlink, missing_ok=True)
    return name
