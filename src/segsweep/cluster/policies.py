"""What the nodes' roles may do: one bucket, two prefixes, and for the head the machines of this cluster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

VERSION = "2012-10-17"
_OBJECTS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
# What Ray's autoscaler looks at; none of these can be limited to single resources.
_LOOKS = (
    "ec2:DescribeInstances", "ec2:DescribeInstanceStatus", "ec2:DescribeInstanceTypes", "ec2:DescribeTags",
    "ec2:DescribeImages", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups", "ec2:DescribeKeyPairs",
)  # fmt: skip


def trust() -> dict[str, Any]:
    """Who may take the roles: EC2 for its instances."""
    statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {"Version": VERSION, "Statement": [statement]}


def worker_policy(bucket: str, prefixes: Sequence[str]) -> dict[str, Any]:
    """Of a worker: the bundles and the runs.

    Args:
        bucket: The bucket.
        prefixes: What of it; nothing outside them can even be listed.
    """
    return {"Version": VERSION, "Statement": _storage(bucket, prefixes)}


def head_policy(bucket: str, prefixes: Sequence[str], region: str, account: str, worker_role: str) -> dict[str, Any]:
    """Of the head: what a worker may, and to start and end workers.

    Args:
        bucket: The bucket.
        prefixes: What of it.
        region: Where machines may be started.
        account: The account's number.
        worker_role: The only role that the head may give to a machine.
    """
    here = f"arn:aws:ec2:{region}:{account}"
    mine = {"StringEquals": {"aws:ResourceTag/project": "segsweep"}}
    return {
        "Version": VERSION,
        "Statement": [
            *_storage(bucket, prefixes),
            {"Sid": "Look", "Effect": "Allow", "Action": list(_LOOKS), "Resource": "*"},
            {
                "Sid": "StartWithTheTag",
                "Effect": "Allow",
                "Action": "ec2:RunInstances",
                "Resource": [f"{here}:instance/*", f"{here}:volume/*"],
                "Condition": {"StringEquals": {"aws:RequestTag/project": "segsweep"}},
            },
            {
                "Sid": "StartFromTheseParts",
                "Effect": "Allow",
                "Action": "ec2:RunInstances",
                "Resource": [
                    *(f"{here}:{part}/*" for part in ("subnet", "security-group", "network-interface", "key-pair")),
                    f"{here}:spot-instances-request/*",
                    f"arn:aws:ec2:{region}::image/*",
                ],
            },
            {
                "Sid": "Tag",
                "Effect": "Allow",
                "Action": "ec2:CreateTags",
                "Resource": f"{here}:*/*",
                "Condition": {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
            },
            {"Sid": "TagMine", "Effect": "Allow", "Action": "ec2:CreateTags", "Resource": f"{here}:instance/*",
             "Condition": mine},
            {"Sid": "EndMine", "Effect": "Allow", "Action": "ec2:TerminateInstances", "Resource": f"{here}:instance/*",
             "Condition": mine},
            {
                "Sid": "GiveWorkersTheirRole",
                "Effect": "Allow",
                "Action": "iam:PassRole",
                "Resource": f"arn:aws:iam::{account}:role/{worker_role}",
                "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
            },
            {
                "Sid": "ResolveTheImage",
                "Effect": "Allow",
                "Action": "ssm:GetParameters",
                "Resource": f"arn:aws:ssm:{region}::parameter/aws/service/deeplearning/*",
            },
        ],
    }  # fmt: skip


def _storage(bucket: str, prefixes: Iterable[str]) -> list[dict[str, Any]]:
    names = list(prefixes)
    within = [pattern for name in names for pattern in (name, f"{name}/*")]
    return [
        {
            "Sid": "List",
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": f"arn:aws:s3:::{bucket}",
            "Condition": {"StringLike": {"s3:prefix": within}},
        },
        {
            "Sid": "Objects",
            "Effect": "Allow",
            "Action": list(_OBJECTS),
            "Resource": [f"arn:aws:s3:::{bucket}/{name}/*" for name in names],
        },
    ]
