"""What a cluster file must say; every mistake is told at once."""

from pathlib import Path

import pytest

from segsweep.cluster.cluster_file import load_cluster_file
from segsweep.errors import ConfigError

REPO = Path(__file__).parents[3]


def told(path):
    with pytest.raises(ConfigError) as caught:
        load_cluster_file(path)
    return [(problem.field, problem.value, problem.rule) for problem in caught.value.problems]


def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_the_shipped_file_names_every_line_to_edit():
    found = told(REPO / "cluster.yaml")
    assert [(field, rule) for field, _, rule in found] == [
        ("provider.segsweep.bucket", "must be edited"),
        ("provider.segsweep.ssh_from", "must be edited"),
        ("auth.ssh_private_key", "must be edited"),
        ("available_node_types.head.node_config.KeyName", "must be edited"),
    ]


def test_an_edited_file_is_read(edited):
    file = load_cluster_file(edited)
    assert (file.region, file.bucket, file.prefixes) == ("us-east-1", "my-bucket", ("datasets", "sweeps"))
    assert (file.ssh_from, file.security_group, file.key_name) == ("203.0.113.7/32", "segsweep", "my-key")
    assert (file.head_profile, file.worker_profile) == ("segsweep-head", "segsweep-worker")


@pytest.mark.parametrize(
    ("old", "new", "field", "rule"),
    [
        ("203.0.113.7/32", "0.0.0.0/0", "provider.segsweep.ssh_from", "must be /24 or narrower"),
        ("203.0.113.7/32", "home", "provider.segsweep.ssh_from", "must be an address range"),
        ("Name: segsweep-worker", "Name: segsweep-head", "IamInstanceProfile", "must not be the workers'"),
        ("region: us-east-1", "region: ''", "provider.region", "must be a text"),
        ("prefixes: [datasets, sweeps]", "prefixes: ['/']", "provider.segsweep.prefixes", "must be a list of names"),
        ("GroupName: segsweep", "Other: x", "provider.security_group.GroupName", "must be a text"),
        ("KeyName: *key", "KeyName: other", "KeyName", "must be the same for all node types"),
    ],
)
def test_what_would_be_unsafe_or_is_missing_is_told(edited, old, new, field, rule):
    [(found, _, said)] = told(changed(edited, old, new))
    assert (found, said[: len(rule)]) == (field, rule)


def test_a_private_key_must_be_there_and_private(edited):
    key = edited.with_name("my-key.pem")
    key.chmod(0o644)
    assert told(edited) == [("auth.ssh_private_key", str(key), "may be read by others: ssh refuses such a key")]
    key.unlink()
    assert told(edited) == [("auth.ssh_private_key", str(key), "no such file")]


@pytest.mark.parametrize("content", ["[]", "a: [1", "cluster_name: x\n", "available_node_types: 3\n"])
def test_a_file_that_is_none_is_told_in_words(tmp_path, content):
    path = tmp_path / "cluster.yaml"
    path.write_text(content)
    assert told(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_cluster_file(tmp_path / "none.yaml")
