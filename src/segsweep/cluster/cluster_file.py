"""A Ray cluster file, read for what segsweep adds to it and for what Ray would get wrong."""

from __future__ import annotations

import ipaddress
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segsweep.config.loading import read_yaml
from segsweep.errors import ConfigError, Problem

_PLACEHOLDER = "EDIT-"
_PROVIDERS = ("aws", "local")
_LEAST_PREFIX = 24  # bits of an IPv4 address range that may reach the head; 0 would be the whole internet


@dataclass(frozen=True)
class LocalCluster:
    """Machines that are there.

    Attributes:
        path: The file.
        name: The cluster's.
        ssh_user: Who logs in on them.
        private_key: File of the key on this machine; None where SSH knows it by itself.
        addresses: Of the machines, the head's first.
    """

    path: str
    name: str
    ssh_user: str
    private_key: Path | None
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class AwsCluster:
    """What the account must hold for this cluster.

    Attributes:
        path: The file.
        name: The cluster's.
        ssh_user: Who logs in on the machines.
        region: AWS region.
        bucket: The only bucket that nodes may touch.
        prefixes: What of it they may touch.
        ssh_from: Address range that may reach the head by SSH, CIDR notation.
        security_group: Name of the group that all nodes are in.
        key_name: EC2 key pair.
        private_key: Its private half on this machine.
        head_profile: Instance profile of the head.
        worker_profile: Instance profile of all workers.
    """

    path: str
    name: str
    ssh_user: str
    region: str
    bucket: str
    prefixes: tuple[str, ...]
    ssh_from: str
    security_group: str
    key_name: str
    private_key: Path
    head_profile: str
    worker_profile: str


def load_cluster_file(path: Path) -> AwsCluster | LocalCluster:
    """Read a cluster file.

    Args:
        path: YAML as `ray up` takes it; for AWS with a section `provider.segsweep`.

    Raises:
        ConfigError: It cannot be read, lacks something, or was not edited; all mistakes are told.
    """
    data = read_yaml(path)
    found = _Finder(str(path), data)
    provider = found.text("provider.type")
    if provider and provider not in _PROVIDERS:
        rule = f"must be one of {', '.join(_PROVIDERS)}: no other was ever tried"
        raise ConfigError(Problem(str(path), rule, "provider.type", provider))
    return _local(found, data) if provider == "local" else _aws(found, data)


def _local(found: _Finder, data: Mapping[str, Any]) -> LocalCluster:
    name, head, user = found.text("cluster_name"), found.text("provider.head_ip"), found.text("auth.ssh_user")
    addresses = (head, *map(str, found.items("provider.worker_ips")))
    problems = [*found.problems, *_unedited(found.where, data)]
    for address, times in Counter(addresses).items():
        if times > 1 and address:
            problems.append(Problem(found.where, "stands twice: each machine is one node", "worker_ips", address))
    key = Path(found.text("auth.ssh_private_key")).expanduser() if found.has("auth.ssh_private_key") else None
    if not problems and key is not None:
        problems = list(_key_rules(found.where, key))
    if problems:
        raise ConfigError(problems)
    return LocalCluster(found.where, name, user, key, addresses)


def _aws(found: _Finder, data: Mapping[str, Any]) -> AwsCluster:
    head_type = found.text("head_node_type")
    node_types = found.mapping("available_node_types")
    profiles = {name: _profile(found, f"available_node_types.{name}") for name in node_types}
    workers = {profile for name, profile in profiles.items() if name != head_type}
    keys = {found.text(f"available_node_types.{name}.node_config.KeyName") for name in node_types}
    private_key = Path(found.text("auth.ssh_private_key")).expanduser()
    file = AwsCluster(
        path=found.where,
        name=found.text("cluster_name"),
        ssh_user=found.text("auth.ssh_user"),
        region=found.text("provider.region"),
        bucket=found.text("provider.segsweep.bucket"),
        prefixes=tuple(str(prefix).strip("/") for prefix in found.items("provider.segsweep.prefixes")),
        ssh_from=found.text("provider.segsweep.ssh_from"),
        security_group=found.text("provider.security_group.GroupName"),
        key_name=min(keys, default=""),
        private_key=private_key,
        head_profile=profiles.get(head_type, ""),
        worker_profile=min(workers, default=""),
    )
    problems = [*found.problems, *_unedited(found.where, data)]
    if not problems:
        problems = list(_rules(file, len(keys), len(workers)))
    if problems:
        raise ConfigError(problems)
    return file


class _Finder:
    """Values by dotted name; what is missing is remembered."""

    def __init__(self, where: str, data: Mapping[str, Any]) -> None:
        self.problems: list[Problem] = []
        self.where = where
        self._data = data

    def has(self, name: str) -> bool:
        return self._value(name) is not None

    def text(self, name: str) -> str:
        value = self._value(name)
        if isinstance(value, str) and value:
            return value
        self._must(name, "must be a text", value)
        return ""

    def mapping(self, name: str) -> Mapping[str, Any]:
        value = self._value(name)
        if isinstance(value, Mapping):
            return value
        self._must(name, "must be a mapping", value)
        return {}

    def items(self, name: str) -> list[Any]:
        value = self._value(name)
        if isinstance(value, list) and value and all(isinstance(one, str) and one.strip("/") for one in value):
            return value
        self._must(name, "must be a list of names, at least one", value)
        return []

    def _value(self, name: str) -> Any:
        value: Any = self._data
        for step in _steps(name):
            value = value.get(step) if isinstance(value, Mapping) else None
        return value

    def _must(self, name: str, rule: str, value: Any) -> None:
        self.problems.append(Problem(self.where, rule, name, "" if value is None else repr(value)))


def _steps(name: str) -> list[str]:
    """A dotted name's steps; the names of node types hold dots themselves."""
    head, separator, rest = name.partition("available_node_types.")
    if not separator or head:
        return name.split(".")
    node_type, separator, rest = rest.partition(".node_config")
    return ["available_node_types", node_type, *(f"node_config{rest}".split(".") if separator else [])]


def _profile(found: _Finder, node_type: str) -> str:
    return found.text(f"{node_type}.node_config.IamInstanceProfile.Name")


def _unedited(where: str, data: Any, name: str = "") -> Iterator[Problem]:
    """Every line that still holds the placeholder; an anchor's copies are told once."""
    told: set[str] = set()
    for field, value in _texts(data):
        if _PLACEHOLDER in value and value not in told:
            told.add(value)
            yield Problem(where, "must be edited", field, value, "replace the placeholder with your own")


def _texts(data: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _texts(value, f"{name}.{key}" if name else str(key))
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value, name)
    elif isinstance(data, str):
        yield name, data


def _rules(file: AwsCluster, keys: int, profiles: int) -> Iterator[Problem]:
    try:
        allowed = ipaddress.ip_network(file.ssh_from)
        if allowed.version == 4 and allowed.prefixlen < _LEAST_PREFIX:
            rule = f"must be /{_LEAST_PREFIX} or narrower: whoever reaches a Ray cluster may run code on it"
            yield Problem(file.path, rule, "provider.segsweep.ssh_from", file.ssh_from)
    except ValueError as exc:
        yield Problem(file.path, f"must be an address range: {exc}", "provider.segsweep.ssh_from", file.ssh_from)
    if keys != 1:
        yield Problem(file.path, "must be the same for all node types", "KeyName")
    if profiles != 1:
        yield Problem(file.path, "must be the same for all worker types", "IamInstanceProfile")
    if file.head_profile == file.worker_profile:
        rule = "must not be the workers': the head may start machines, and they need not"
        yield Problem(file.path, rule, "IamInstanceProfile", file.head_profile)
    yield from _key_rules(file.path, file.private_key)


def _key_rules(where: str, key: Path) -> Iterator[Problem]:
    field = "auth.ssh_private_key"
    if not key.is_file():
        yield Problem(where, "no such file", field, str(key), "name the file of your private key")
    elif stat.S_IMODE(key.stat().st_mode) & 0o077:
        yield Problem(where, "may be read by others: ssh refuses such a key", field, str(key), f"chmod 600 {key}")
