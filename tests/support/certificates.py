"""A certificate for loopback, and the authority that has signed it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.http_servers import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path


def for_loopback(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's side of TLS, and the file with the authority that a client must trust for it."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = (f"authority of {folder.name}", "loopback")
    ca_name, name = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, item)]) for item in names)
    ca = _signed(_builder(ca_name, ca_name, ca_key).add_extension(x509.BasicConstraints(True, None), True), ca_key)  # noqa: FBT003
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))])
    leaf = _signed(_builder(name, ca_name, key).add_extension(alternative, critical=False), ca_key)
    authority, chain = folder / "authority.pem", folder / "chain.pem"
    authority.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(private + leaf.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context, authority


def _builder(name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.timezone.utc)
    hour = dt.timedelta(hours=1)
    return x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number(), now - hour, now + hour)


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return builder.sign(key, hashes.SHA256())
