"""The token of Ray: whoever has it may run code on the cluster, and nobody else."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from segsweep.errors import ConfigError, Problem

_BYTES = 32


def make_token(home: Path) -> bool:
    """Make the token without which nobody may use the cluster, unless there is one: `~/.ray/auth_token`, mode 0600.

    Args:
        home: The user's.

    Returns:
        Whether it was made.

    Raises:
        ConfigError: A token is there that others may read.
    """
    path = home / ".ray" / "auth_token"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            fix = f"chmod 600 {path}, or remove it and let a new one be made"
            raise ConfigError(Problem(str(path), "may be read by others", fix=fix)) from None
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(_BYTES))
    return True
