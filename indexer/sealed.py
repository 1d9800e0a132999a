"""A value sealed for one reader: who passes it on, or logs it, cannot read it."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# No key is used twice, so that all may have the same nonce.
_NONCE = bytes(12)


@dataclass(frozen=True, slots=True)
class Sealed:
    """What was sealed, and the public half of a key that was made for it alone."""

    sender: bytes
    text: bytes


class Reader:
    """Who can open what was sealed for its public key (32 bytes); the private one never leaves the process."""

    def __init__(self) -> None:
        self._key = X25519PrivateKey.generate()
        self.public = self._key.public_key().public_bytes_raw()

    def open(self, sealed: Sealed) -> Any:
        """The value.  Raises InvalidTag for one that was sealed for somebody else."""
        return pickle.loads(_cipher(self._key, sealed.sender).decrypt(_NONCE, sealed.text, None))  # noqa: S301  as dask does


def seal(value: object, public: bytes) -> Sealed:
    """A value for the reader of this public key alone."""
    key = X25519PrivateKey.generate()
    text = _cipher(key, public).encrypt(_NONCE, pickle.dumps(value), None)
    return Sealed(key.public_key().public_bytes_raw(), text)


def _cipher(key: X25519PrivateKey, public: bytes) -> ChaCha20Poly1305:
    shared = key.exchange(X25519PublicKey.from_public_bytes(public))
    return ChaCha20Poly1305(HKDF(SHA256(), 32, None, b"conda-channel-indexer").derive(shared))
