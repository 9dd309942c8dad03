"""What is made in an account, read back from it, and what is left alone."""

import json

import pytest

from segsweep.cluster.account import prepare_account
from segsweep.cluster.cluster_file import load_cluster_file
from segsweep.cluster.policies import head_policy, worker_policy
from segsweep.errors import ConfigError, RunError

pytestmark = [pytest.mark.slow(reason="asks a server"), pytest.mark.timeout(60)]


@pytest.fixture
def prepare(aws, edited):
    def run(old="", new=""):
        if old:
            edited.write_text(edited.read_text().replace(old, new))
        waits = []
        return prepare_account(load_cluster_file(edited), waits.append), waits

    return run


def rules(aws, group_id):
    (group,) = aws.client("ec2").describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    return [
        (rule["IpProtocol"], rule.get("FromPort"), rule.get("ToPort"),
         [one["CidrIp"] for one in rule["IpRanges"]], [one["GroupId"] for one in rule["UserIdGroupPairs"]])
        for rule in group["IpPermissions"]
    ]  # fmt: skip


def test_ssh_is_open_to_one_address_range_and_all_else_among_the_nodes_alone(aws, prepare):
    found, _ = prepare()
    (group_id,) = found.security_group_ids
    assert sorted(rules(aws, group_id), key=str) == sorted(
        [
            ("-1", None, None, [], [group_id]),
            ("tcp", 22, 22, ["203.0.113.7/32"], []),
        ],
        key=str,
    )


def test_every_network_in_which_ray_may_start_machines_has_the_group(aws, prepare):
    ec2 = aws.client("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    assert len(prepare()[0].security_group_ids) == 1  # nothing public there
    ec2.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": True})
    found, _ = prepare()
    assert len(found.security_group_ids) == 2
    for group_id in found.security_group_ids:
        assert [rule[3] for rule in rules(aws, group_id) if rule[3]] == [["203.0.113.7/32"]]


def test_a_region_without_a_public_subnet_is_told(aws, prepare):
    ec2 = aws.client("ec2")
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    with pytest.raises(ConfigError, match=r"provider.region = us-east-1: has no public subnet \(make one: aws ec2"):
        prepare()


def test_roles_may_do_what_their_policies_say_and_nothing_else(aws, prepare):
    found, waits = prepare()
    iam, place = aws.client("iam"), ("my-bucket", ("datasets", "sweeps"))
    wanted = {
        "segsweep-worker": worker_policy(*place),
        "segsweep-head": head_policy(*place, "us-east-1", found.account, "segsweep-worker"),
    }
    for name, policy in wanted.items():
        assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["segsweep"]
        assert iam.get_role_policy(RoleName=name, PolicyName="segsweep")["PolicyDocument"] == policy
        assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
        profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
        assert [role["RoleName"] for role in profile["Roles"]] == [name]
    assert waits == [15.0]  # EC2 learns of new profiles late


def test_a_policy_touches_one_bucket_two_prefixes_and_tagged_machines_only():
    policy = head_policy("b", ("d", "s"), "eu-west-1", "123", "worker")
    storage = [one for one in policy["Statement"] if "s3:" in str(one["Action"])]
    assert [one["Resource"] for one in storage] == ["arn:aws:s3:::b", ["arn:aws:s3:::b/d/*", "arn:aws:s3:::b/s/*"]]
    assert storage[0]["Condition"] == {"StringLike": {"s3:prefix": ["d", "d/*", "s", "s/*"]}}
    wide = [one["Sid"] for one in policy["Statement"] if one["Resource"] == "*"]
    assert wide == ["Look"]
    actions = [one["Action"] if isinstance(one["Action"], list) else [one["Action"]] for one in policy["Statement"]]
    assert not [action for each in actions for action in each if "*" in action]
    (ends,) = [one for one in policy["Statement"] if one["Action"] == "ec2:TerminateInstances"]
    assert ends["Condition"] == {"StringEquals": {"aws:ResourceTag/project": "segsweep"}}


def test_doing_it_again_changes_nothing(prepare):
    first, _ = prepare()
    again, waits = prepare()
    assert first.made
    assert (again.made, again.security_group_ids, waits) == ((), first.security_group_ids, [])


def test_another_address_takes_the_place_of_the_one_before(aws, prepare):
    found, _ = prepare()
    again, _ = prepare("203.0.113.7/32", "198.51.100.9/32")
    assert again.security_group_ids == found.security_group_ids
    assert [rule[3] for rule in rules(aws, *found.security_group_ids) if rule[3]] == [["198.51.100.9/32"]]


def test_a_group_that_ray_has_opened_to_everybody_is_refused_with_the_command_that_closes_it(aws, prepare):
    found, _ = prepare()
    everybody = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2 = aws.client("ec2")
    ec2.authorize_security_group_ingress(GroupId=found.security_group_ids[0], IpPermissions=[everybody])
    with pytest.raises(ConfigError, match="lets in others than") as caught:
        prepare()
    (problem,) = caught.value.problems
    said = problem.fix.split("--ip-permissions ")[1].strip("'")
    ec2.revoke_security_group_ingress(GroupId=found.security_group_ids[0], IpPermissions=[json.loads(said)])
    assert prepare()[0].made == ()


def test_a_role_that_may_do_more_is_refused(aws, prepare):
    prepare()
    iam = aws.client("iam")
    iam.put_role_policy(
        RoleName="segsweep-worker", PolicyName="more", PolicyDocument=json.dumps(worker_policy("other", ("x",)))
    )
    with pytest.raises(ConfigError, match="segsweep-worker: policies = more: the role may do more"):
        prepare()


def test_a_key_pair_that_is_not_there_is_told_with_those_that_are(aws, prepare):
    with pytest.raises(ConfigError, match=r"KeyName = other: no such key pair in us-east-1 .*there are: my-key"):
        prepare("KeyName: &key my-key", "KeyName: &key other")


def test_an_account_that_refuses_is_told_in_one_line(aws, prepare, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(RunError, match="AWS refuses: Could not connect"):
        prepare()
