"""The token is made once, and nobody else may read it."""

import stat

import pytest

from segsweep.cluster.token import make_token
from segsweep.errors import ConfigError


def test_a_token_is_made_once_and_private(tmp_path):
    assert make_token(tmp_path)
    path = tmp_path / ".ray" / "auth_token"
    token = path.read_text()
    assert (len(token), stat.S_IMODE(path.stat().st_mode)) == (64, 0o600)
    assert not make_token(tmp_path)
    assert path.read_text() == token
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="may be read by others"):
        make_token(tmp_path)
