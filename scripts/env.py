"""
Writes ``.env`` for docker-compose.yaml: ``.env.example`` with random secrets in its empty places (``make env``).

An ``.env`` that is there is left alone: its passwords are in databases by now.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
EXAMPLE = PROJECT / ".env.example"
_EMPTY = re.compile(r"^([A-Z_][A-Z0-9_]*)=$", re.MULTILINE)


def main() -> int:
    """Write the file; 0 when it is there."""
    target = PROJECT / ".env"
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(f"{target} is there already and stays as it is.")
        return 0
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(filled(EXAMPLE.read_text(encoding="utf-8")))
    print(f"Wrote {target}. The first user's password is in it: AIRFLOW_ADMIN_PASSWORD.")
    return 0


def filled(example: str) -> str:
    """The example with a secret of its own in each empty place."""
    return _EMPTY.sub(lambda empty: f"{empty[1]}={new_secret(empty[1])}", example)


def new_secret(name: str) -> str:
    """A random secret for a variable: 256 bits, except for the access key, which is only a name."""
    if name == "AIRFLOW_FERNET_KEY":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_hex(10 if name == "S3_ACCESS_KEY" else 32)


if __name__ == "__main__":
    sys.exit(main())
