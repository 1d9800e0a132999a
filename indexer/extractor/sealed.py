"""A value encrypted for one recipient: a process that forwards or logs it cannot read it."""

from __future__ import annotations

import pickle
from typing import Any

from nacl.public import PrivateKey, PublicKey, SealedBox


class Recipient:
    """A key pair that opens values sealed for `public` (32 bytes); the private key never leaves the process."""

    def __init__(self) -> None:
        self._key = PrivateKey.generate()
        self.public = bytes(self._key.public_key)

    def open(self, sealed: bytes) -> Any:
        """The value.  Raises CryptoError if the value was sealed for another recipient."""
        return pickle.loads(SealedBox(self._key).decrypt(sealed))  # noqa: S301  dask unpickles the same values


def seal(value: object, public: bytes) -> bytes:
    """A value that only the owner of this public key can open, as a sealed box of libsodium."""
    return SealedBox(PublicKey(public)).encrypt(pickle.dumps(value))
