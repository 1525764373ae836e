"""Encryption of what a re-send needs: AES-256-GCM under a key derived from the configuration's secret.

Each payload has a random nonce and is bound to its batch by associated data, so that one cannot be put in
another's place. The derivation is scrypt with the ledger's own salt, because the secret may be a passphrase.
"""

from __future__ import annotations

import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from connectors.errors import StopAndCall

_NONCE_BYTES = 12  # NIST SP 800-38D, section 5.2.1.1
_CHECK = b"clvsync ledger"
_CHECK_BINDING = b"key check"


class WrongKey(StopAndCall):
    """The encryption key is not the one this ledger was written with."""


class Vault:
    """Encrypts and decrypts payloads. `key_check` is stored beside the salt."""

    def __init__(self, secret: bytes, salt: bytes) -> None:
        derived = Scrypt(salt=salt, length=64, n=2**14, r=8, p=1).derive(secret)
        self._cipher = AESGCM(derived[:32])
        self._digest_key = derived[32:]

    @staticmethod
    def new_salt() -> bytes:
        return secrets.token_bytes(16)

    def encrypt(self, plain: bytes, binding: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, binding)

    def decrypt(self, sealed: bytes, binding: bytes) -> bytes:
        """Raises WrongKey where the key, the binding or a byte is not the one it was encrypted with."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], binding)
        except InvalidTag:
            raise WrongKey(
                "The ledger's encryption key",
                "it does not open what this ledger holds, or the ledger was tampered with",
                "Set the key that was in use when the ledger was written.",
            ) from None

    def digest(self, text: str) -> str:
        """HMAC-SHA256 of `text` in hex: tells it again without holding it."""
        return hmac.digest(self._digest_key, text.encode(), "sha256").hex()

    def key_check(self) -> bytes:
        return self.encrypt(_CHECK, _CHECK_BINDING)

    def verify(self, key_check: bytes) -> None:
        """Raises WrongKey unless `key_check` was made with the same secret and salt."""
        self.decrypt(key_check, _CHECK_BINDING)
