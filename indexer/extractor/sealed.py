"""A value sealed for one reader: who passes it on, or logs it, cannot read it."""

from __future__ import annotations

import pickle
from typing import Any

from nacl.public import PrivateKey, PublicKey, SealedBox


class Reader:
    """Who can open what was sealed for its public key (32 bytes); the private one never leaves the process."""

    def __init__(self) -> None:
        self._key = PrivateKey.generate()
        self.public = bytes(self._key.public_key)

    def open(self, sealed: bytes) -> Any:
        """The value.  Raises CryptoError for one that was sealed for somebody else."""
        return pickle.loads(SealedBox(self._key).decrypt(sealed))  # noqa: S301  as dask does


def seal(value: object, public: bytes) -> bytes:
    """A value for the reader of this public key alone, by libsodium's sealed boxes."""
    return SealedBox(PublicKey(public)).encrypt(pickle.dumps(value))
