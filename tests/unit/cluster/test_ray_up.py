"""The shipped cluster file through Ray's own schema, AWS provider and scheduler, and what they made of it, read back.

No machine is reached, and no real account was ever used: EC2 and IAM are moto's, on loopback.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from segsweep.cluster.account import prepare_account
from segsweep.cluster.cluster_file import load_cluster_file
from segsweep.cluster.policies import head_policy, worker_policy

pytestmark = [pytest.mark.slow(reason="asks a server, and imports Ray's autoscaler"), pytest.mark.timeout(120)]

REPO = Path(__file__).parents[3]
# https://aws.amazon.com/ec2/instance-types/ as of 2026-11: vCPUs, GPUs.
MACHINES = {"m6i.large": (2, 0), "g5.12xlarge": (48, 4), "g6.12xlarge": (48, 4)}


def read(path: Path) -> dict[str, Any]:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(yaml.safe_load(path.read_text()))
    validate_config(config)
    return dict(config)


@pytest.fixture
def started(aws: Any, edited: Path) -> dict[str, Any]:
    """One machine of each type, started by Ray's provider, as EC2 describes it."""
    from ray.autoscaler._private.aws import config as ray_aws
    from ray.autoscaler._private.aws import utils
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
    from ray.autoscaler.tags import TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

    prepare_account(load_cluster_file(edited), lambda seconds: None)
    for cache in (utils.resource_cache, utils.client_cache, ray_aws._get_subnets_or_die):
        cache.cache_clear()  # they belong to the account of the test before
    config = ray_aws.bootstrap_aws(read(edited))
    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    for name, node_type in config["available_node_types"].items():
        kind = "head" if name == config["head_node_type"] else "worker"
        node_config = {**node_type["node_config"], **(config["head_node"] if kind == "head" else {})}
        provider.create_node(node_config, {TAG_RAY_NODE_KIND: kind, TAG_RAY_USER_NODE_TYPE: name}, 1)
    found = {}
    for reservation in aws.client("ec2").describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
            found[tags["ray-user-node-type"]] = {**instance, "Tags": tags}
    return {"config": config, "instances": found}


def test_ray_takes_the_file(edited: Path) -> None:
    config = read(edited)
    assert config["head_node_type"] == "head"
    types = config["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0, "GPU": 0}  # trials never run there
    for name, node_type in types.items():
        cpus, gpus = MACHINES[node_type["node_config"]["InstanceType"]]
        if name != "head":
            assert (node_type["resources"], node_type["min_workers"]) == ({"CPU": cpus, "GPU": gpus}, 0)
    assert sum(gpus > 1 for _, gpus in MACHINES.values()) >= 2


def test_every_machine_is_in_our_group_with_its_role_and_no_other(aws: Any, started: dict[str, Any]) -> None:
    groups = aws.client("ec2").describe_security_groups()["SecurityGroups"]
    assert sorted(group["GroupName"] for group in groups) == ["default", "segsweep"]
    (ours,) = [group for group in groups if group["GroupName"] == "segsweep"]
    addresses = [one["CidrIp"] for rule in ours["IpPermissions"] for one in rule["IpRanges"]]
    assert addresses == ["203.0.113.7/32"]
    assert "ray-autoscaler-v1" not in [role["RoleName"] for role in aws.client("iam").list_roles()["Roles"]]
    assert set(started["instances"]) == {"head", "spot.a10g", "spot.l4", "ondemand.a10g"}
    for name, instance in started["instances"].items():
        assert [group["GroupId"] for group in instance["SecurityGroups"]] == [ours["GroupId"]], name
        profile = instance["IamInstanceProfile"]["Arn"].rpartition("/")[2]
        assert profile == ("segsweep-head" if name == "head" else "segsweep-worker")


def test_every_machine_is_of_its_type_tagged_and_gives_its_keys_to_imdsv2_only(started: dict[str, Any]) -> None:
    types = {name: instance["InstanceType"] for name, instance in started["instances"].items()}
    assert types == {
        "head": "m6i.large", "spot.a10g": "g5.12xlarge", "spot.l4": "g6.12xlarge", "ondemand.a10g": "g5.12xlarge",
    }  # fmt: skip
    for name, instance in started["instances"].items():
        options = instance["MetadataOptions"]
        assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1), name
        assert instance["Tags"]["project"] == "segsweep"  # the head may end only what has it
        assert instance["KeyName"] == "my-key"
        assert instance["ImageId"].startswith("resolve:ssm:/aws/service/deeplearning/ami/x86_64/base-oss-nvidia")
        assert (instance.get("InstanceLifecycle") == "spot") == name.startswith("spot.")


def test_disks_are_encrypted_gone_with_the_machine_and_large_enough(aws: Any, started: dict[str, Any]) -> None:
    sizes = {}
    for name, instance in started["instances"].items():
        (disk,) = instance["BlockDeviceMappings"]
        assert disk["Ebs"]["DeleteOnTermination"], name
        (volume,) = aws.client("ec2").describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]
        assert (volume["Encrypted"], volume["VolumeType"]) == (True, "gp3")
        sizes[name] = volume["Size"]
    assert sizes == {"head": 100, "spot.a10g": 150, "spot.l4": 150, "ondemand.a10g": 150}


def test_without_our_group_ray_would_open_ssh_to_everybody(aws: Any, edited: Path) -> None:
    from ray.autoscaler._private.aws import config as ray_aws
    from ray.autoscaler._private.aws import utils

    for cache in (utils.resource_cache, utils.client_cache, ray_aws._get_subnets_or_die):
        cache.cache_clear()
    ray_aws.bootstrap_aws(read(edited))  # `ray up` without `segsweep cluster` before it
    groups = aws.client("ec2").describe_security_groups()["SecurityGroups"]
    addresses = [
        one["CidrIp"] for group in groups if group["GroupName"] == "segsweep"
        for rule in group["IpPermissions"] for one in rule["IpRanges"]
    ]  # fmt: skip
    assert addresses == ["0.0.0.0/0"]  # if this changes, the warning in cluster.yaml may go


def test_spot_comes_first_and_the_full_price_when_there_is_none(edited: Path) -> None:
    config = read(edited)
    priorities = {name: one.get("priority", 0) for name, one in config["available_node_types"].items()}
    workers = sorted((name for name in priorities if name != "head"), key=lambda name: -priorities[name])
    assert workers == ["spot.a10g", "spot.l4", "ondemand.a10g"]
    assert len({priorities[name] for name in workers}) == 3


def test_nothing_listens_beyond_the_head_and_no_key_travels(edited: Path) -> None:
    config = read(edited)
    (start,) = [line for line in config["head_start_ray_commands"] if "--head" in line]
    assert "--dashboard-host=127.0.0.1" in start
    assert "--num-cpus=0" in start
    assert "export RAY_AUTH_MODE=token" in " ".join(config["setup_commands"])
    assert config["file_mounts"]["~/.ray/auth_token"].endswith(".ray/auth_token")
    assert {"*.pem", ".env*", ".git"} <= set(config["rsync_exclude"])
    installs = [line for line in config["setup_commands"] if "pip install" in line or "pip3 install" in line]
    assert len(installs) == 2
    assert all("==" in line or "--constraint" in line for line in installs)


def test_ray_takes_the_file_for_ones_own_machines(tmp_path: Path) -> None:
    text = (REPO / "cluster-onprem.yaml").read_text()
    for number, name in enumerate(("EDIT-head-address", "EDIT-address-2", "EDIT-address")):
        text = text.replace(name, f"10.0.0.{number}")
    path = tmp_path / "cluster-onprem.yaml"
    path.write_text(text)
    config = read(path)
    (node_type,) = config["available_node_types"].values()
    assert (node_type["min_workers"], node_type["max_workers"]) == (2, 2)
    starts = config["head_start_ray_commands"][-1], config["worker_start_ray_commands"][-1]
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert all(". ~/ray.env" in start for start in starts)


def test_the_policies_in_the_manual_are_those_that_are_made() -> None:
    place = ("BUCKET", ("datasets", "sweeps"))
    assert json.loads((REPO / "docs" / "aws" / "worker-policy.json").read_text()) == worker_policy(*place)
    head = head_policy(*place, "REGION", "ACCOUNT", "segsweep-worker")
    assert json.loads((REPO / "docs" / "aws" / "head-policy.json").read_text()) == head
