import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsweep.errors import StorageError
from segsweep.storage.store import checked_key, checked_prefix

PARTS = st.text(st.sampled_from("ab.~ ä猫=-"), min_size=1, max_size=4).filter(lambda part: part not in (".", ".."))


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("", "must not be empty"),
        ("/a", "must be relative, without a leading '/'"),
        ("a//b", "must not hold an empty part, '.' or '..'"),
        ("a/", "must not hold an empty part, '.' or '..'"),
        ("a/../b", "must not hold an empty part, '.' or '..'"),
        ("./a", "must not hold an empty part, '.' or '..'"),
        ("a/.segsweep-lock", "must not hold a part that starts with '.segsweep-'"),
        ("a\x00b", "must not hold control characters"),
        ("a\x7f", "must not hold control characters"),
    ],
)
def test_a_broken_key_is_told_with_its_rule(key: str, rule: str) -> None:
    with pytest.raises(StorageError) as raised:
        checked_key("s3://bucket/run", key)
    assert str(raised.value) == f"s3://bucket/run: key = {key!r}: {rule}"


@pytest.mark.slow(reason="draws fifty examples, which takes long on a loaded machine")
@pytest.mark.timeout(20)
@settings(max_examples=50, deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=4), st.data())
def test_every_start_of_a_good_key_is_a_good_prefix(parts: list[str], data: st.DataObject) -> None:
    key = "/".join(parts)
    length = data.draw(st.integers(0, len(key)))
    assert checked_key("here", key) == key
    assert checked_prefix("here", key[:length]) == key[:length]


@pytest.mark.parametrize("prefix", ["/", "/a", "a//", "../", "a/./", "a/../b", ".segsweep-", "\n"])
def test_a_prefix_with_which_no_key_starts_is_refused(prefix: str) -> None:
    with pytest.raises(StorageError, match="here: prefix = "):
        checked_prefix("here", prefix)
