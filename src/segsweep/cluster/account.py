"""What a cluster needs of an AWS account before `ray up`: a security group and two roles.

Ray would make them by itself: a group with SSH open to every address, and a role with full access to EC2 and
S3 (`ray/autoscaler/_private/aws/config.py`). It takes what is there by its name, so they are made here, first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from segsweep.cluster.cluster_file import AwsCluster
from segsweep.cluster.policies import head_policy, trust, worker_policy
from segsweep.errors import ConfigError, Problem, RunError

_POLICY = "segsweep"
_OURS = "provider.segsweep.ssh_from"  # how a rule says that it is ours to change
_SOURCES = {
    "IpRanges": ("CidrIp", "Description"),
    "Ipv6Ranges": ("CidrIpv6", "Description"),
    "UserIdGroupPairs": ("GroupId",),
    "PrefixListIds": ("PrefixListId",),
}
_KNOWN_S = 15.0  # until EC2 knows a new instance profile; what Ray waits for its own


@dataclass(frozen=True)
class Prepared:
    """What is there now.

    Attributes:
        account: The account's number.
        security_group_ids: Of the groups that let in `ssh_from` and themselves: one in each network where Ray may start
            machines.
        made: What was not there before or was not as it is now, one line each.
    """

    account: str
    security_group_ids: tuple[str, ...]
    made: tuple[str, ...]


def prepare_account(file: AwsCluster, sleep: Callable[[float], None] = time.sleep) -> Prepared:
    """Make, or set right, what the cluster needs; doing it again changes nothing.

    Args:
        file: The cluster file.
        sleep: Waits so many seconds for what AWS makes known late.

    Raises:
        ConfigError: The file names a key pair that is not there, the region has no public subnet, or a group or role of
            this name lets in or may do more than the cluster needs; nothing that somebody else has set is removed.
        RunError: AWS refuses.
    """
    made: list[str] = []
    with _told(file.path):
        session = boto3.session.Session(region_name=file.region)
        ec2, iam = session.client("ec2"), session.client("iam")
        account = str(session.client("sts").get_caller_identity()["Account"])
        _require_key(ec2, file)
        group_ids = tuple(_security_group(ec2, file, vpc_id, made) for vpc_id in _networks(ec2, file))
        policy = worker_policy(file.bucket, file.prefixes)
        is_new = _role(iam, file.worker_profile, policy, made)
        policy = head_policy(file.bucket, file.prefixes, file.region, account, file.worker_profile)
        is_new = _role(iam, file.head_profile, policy, made) or is_new
        if is_new:
            sleep(_KNOWN_S)
    return Prepared(account, group_ids, tuple(made))


def _require_key(ec2: Any, file: AwsCluster) -> None:
    names = [pair["KeyName"] for pair in ec2.describe_key_pairs()["KeyPairs"]]
    if file.key_name not in names:
        there = ", ".join(sorted(names)) or "none"
        fix = f"name one of them, or make it: docs/aws.md; there are: {there}"
        raise ConfigError(Problem(file.path, f"no such key pair in {file.region}", "KeyName", file.key_name, fix))


def _networks(ec2: Any, file: AwsCluster) -> list[str]:
    """VPCs with a public subnet: Ray takes one of them, and opens SSH to everybody where it finds no group of ours."""
    subnets = ec2.describe_subnets()["Subnets"]
    found = sorted({subnet["VpcId"] for subnet in subnets if subnet["MapPublicIpOnLaunch"]})
    if not found:
        fix = "make one: aws ec2 create-default-vpc"
        raise ConfigError(Problem(file.path, "has no public subnet", "provider.region", file.region, fix))
    return found


def _security_group(ec2: Any, file: AwsCluster, vpc_id: str, made: list[str]) -> str:
    """The group's id; it lets in its own members, and SSH from the one address range."""
    named = [{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "group-name", "Values": [file.security_group]}]
    groups = ec2.describe_security_groups(Filters=named)["SecurityGroups"]
    if groups:
        group_id, there = groups[0]["GroupId"], groups[0]["IpPermissions"]
    else:
        description = "segsweep: SSH from one address range, everything among the nodes"
        made.append(f"security group {file.security_group}")
        group_id, there = (
            ec2.create_security_group(GroupName=file.security_group, Description=description, VpcId=vpc_id)["GroupId"],
            [],
        )
    inside = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group_id}]}
    rules = [one for rule in there for one in _single(rule)]
    wanted = [*_single(inside), *_single(_ssh(file.ssh_from))]
    stale = [rule for rule in rules if rule not in wanted and _description(rule) == _OURS]
    foreign = [rule for rule in rules if rule not in wanted and rule not in stale]
    if foreign:
        raise ConfigError([_foreign(file, group_id, rule) for rule in foreign])
    missing = [rule for rule in wanted if rule not in rules]
    if stale:  # the address of whoever works from home changes
        ec2.revoke_security_group_ingress(GroupId=group_id, IpPermissions=stale)
    if missing:
        ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=missing)
        made.append(f"security group {file.security_group}: SSH from {file.ssh_from} and from nowhere else")
    return str(group_id)


def _ssh(ssh_from: str) -> dict[str, Any]:
    kind, name = ("Ipv6Ranges", "CidrIpv6") if ":" in ssh_from else ("IpRanges", "CidrIp")
    return {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, kind: [{name: ssh_from, "Description": _OURS}]}


def _single(rule: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A rule of several sources as one of each, without what AWS adds to it."""
    head = {name: rule[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in rule}
    if head["IpProtocol"] == "-1":
        head = {"IpProtocol": "-1"}
    for kind, names in _SOURCES.items():
        for source in rule.get(kind, ()):
            yield {**head, kind: [{name: source[name] for name in names if source.get(name)}]}


def _description(rule: Mapping[str, Any]) -> str:
    return next(str(rule[kind][0].get("Description", "")) for kind in _SOURCES if kind in rule)


def _foreign(file: AwsCluster, group_id: str, rule: Mapping[str, Any]) -> Problem:
    fix = (
        f"aws ec2 revoke-security-group-ingress --region {file.region} --group-id {group_id} "
        f"--ip-permissions '{json.dumps(rule)}'"
    )
    said = "lets in others than provider.segsweep.ssh_from, who could run code on the cluster"
    return Problem(
        file.path, said, "provider.security_group.GroupName", f"{file.security_group} {json.dumps(rule)}", fix
    )


def _role(iam: Any, name: str, policy: Mapping[str, Any], made: list[str]) -> bool:
    """A role with this policy alone, in an instance profile of the same name; whether the profile is new."""
    if _missing(lambda: iam.get_role(RoleName=name)):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust()))
        made.append(f"role {name}")
    more = [one["PolicyName"] for one in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]]
    more += [one for one in iam.list_role_policies(RoleName=name)["PolicyNames"] if one != _POLICY]
    if more:
        fix = "take them from it, or name another profile in the cluster file"
        raise ConfigError(
            Problem(name, "the role may do more than the cluster needs", "policies", ", ".join(more), fix)
        )
    found: list[Any] = []
    _missing(lambda: found.append(iam.get_role_policy(RoleName=name, PolicyName=_POLICY)["PolicyDocument"]))
    if found != [policy]:
        iam.put_role_policy(RoleName=name, PolicyName=_POLICY, PolicyDocument=json.dumps(policy))
        made.append(f"role {name}: its policy")
    is_new = _missing(lambda: iam.get_instance_profile(InstanceProfileName=name))
    if is_new:
        iam.create_instance_profile(InstanceProfileName=name)
        made.append(f"instance profile {name}")
    roles = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
    if [role["RoleName"] for role in roles] != [name]:
        for role in roles:
            iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role["RoleName"])
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return is_new


def _missing(look: Callable[[], object]) -> bool:
    try:
        look()
    except ClientError as exc:
        if exc.response["Error"]["Code"] == "NoSuchEntity":
            return True
        raise
    return False


@contextmanager
def _told(where: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as exc:
        fix = "check the keys and rights of this account: docs/aws.md says which it needs; the same command goes on"
        raise RunError(Problem(where, f"AWS refuses: {exc}", fix=fix)) from exc
