"""What a cluster file must say; every mistake is told at once."""

from pathlib import Path

import pytest

from segsweep.cluster.cluster_file import LocalCluster, load_cluster_file
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


@pytest.fixture
def onprem(tmp_path):
    text = (REPO / "cluster-onprem.yaml").read_text()
    for placeholder, value in {
        "EDIT-head-address": "10.0.0.1", "EDIT-address-2": "10.0.0.3", "EDIT-address": "10.0.0.2", "EDIT-user": "me",
    }.items():  # fmt: skip
        text = text.replace(placeholder, value)
    path = tmp_path / "cluster-onprem.yaml"
    path.write_text(text)
    return path


def test_the_shipped_file_for_ones_own_machines_names_every_line_to_edit():
    found = told(REPO / "cluster-onprem.yaml")
    assert [field for field, _, _ in found] == [
        "provider.head_ip", "provider.worker_ips", "provider.worker_ips", "auth.ssh_user",
    ]  # fmt: skip


def test_machines_that_are_there_are_read(onprem):
    file = load_cluster_file(onprem)
    assert isinstance(file, LocalCluster)
    assert (file.name, file.addresses) == ("segsweep-onprem", ("10.0.0.1", "10.0.0.2", "10.0.0.3"))


def test_a_machine_that_stands_twice_is_told(onprem):
    changed(onprem, "10.0.0.3", "10.0.0.1")
    assert told(onprem) == [("worker_ips", "10.0.0.1", "stands twice: each machine is one node")]


def test_a_key_for_ones_own_machines_may_be_left_to_the_agent_or_must_be_there(onprem, tmp_path):
    changed(onprem, "  # ssh_private_key: ~/.ssh/id_ed25519 ", f"  ssh_private_key: {tmp_path}/none ")
    assert told(onprem) == [("auth.ssh_private_key", f"{tmp_path}/none", "no such file")]


def test_a_provider_that_nobody_tried_is_refused(edited):
    assert told(changed(edited, "type: aws", "type: gcp"))[0][:2] == ("provider.type", "gcp")


@pytest.mark.parametrize("content", ["[]", "a: [1", "cluster_name: x\n", "available_node_types: 3\n"])
def test_a_file_that_is_none_is_told_in_words(tmp_path, content):
    path = tmp_path / "cluster.yaml"
    path.write_text(content)
    assert told(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_cluster_file(tmp_path / "none.yaml")
