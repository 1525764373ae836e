"""Key files of service accounts that do not exist."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.google import facts


def key_file(folder: Path, **changes: Any) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    content = {
        "type": "service_account",
        "client_email": "clvsync@project.iam.gserviceaccount.com",
        "token_uri": facts.TOKEN_URL,
        "private_key": pem.decode(),
    }
    path = folder / "key.json"
    path.write_text(json.dumps(content | changes))
    return path
