"""What a job comes to on a cluster that does not run yet: which machines hold it, for how long, for how much."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segsweep.cluster.machines import AS_OF, MACHINES, SPOT_SHARE, Machine, image_seconds, trial_gib
from segsweep.config.job import Job
from segsweep.config.loading import read_yaml
from segsweep.core.forecast import epochs_by_variant
from segsweep.core.packing import Packing, pack
from segsweep.core.variants import Variant
from segsweep.errors import ConfigError, Problem

_LEAST_IDLE = 0.05  # of a machine's GPUs, from which on it is worth a word
_DEFAULT_IMGSZ, _DEFAULT_BATCH = 640, 16  # Ultralytics'


@dataclass(frozen=True)
class NodeType:
    """A type of worker in a cluster file.

    Attributes:
        name: Its name there.
        instance_type: EC2's.
        machine: What that holds; None where it is not in our table.
        gpus: GPUs that the file lets Ray give away.
        cpus: CPUs, likewise.
        most: Machines of this type at once.
        priority: The highest is tried first.
        is_spot: Whether AWS may take it back.
    """

    name: str
    instance_type: str
    machine: Machine | None
    gpus: int
    cpus: int
    most: int
    priority: int
    is_spot: bool

    @property
    def usd_per_hour(self) -> float | None:
        """Price of one machine, about."""
        if self.machine is None:
            return None
        return self.machine.usd_per_hour * (SPOT_SHARE if self.is_spot else 1.0)


@dataclass(frozen=True)
class Bill:
    """A sweep on machines of one type alone, their GPUs filled.

    Attributes:
        gpu_hours: Whole GPUs, with early stopping as is to be expected.
        worst_gpu_hours: If no trial were ever stopped; the budget ends it before, where it is less.
        usd: Price of `gpu_hours`.
        worst_usd: Price of `worst_gpu_hours`.
    """

    gpu_hours: float
    worst_gpu_hours: float
    usd: float
    worst_usd: float


@dataclass(frozen=True)
class Plan:
    """How a job fits a cluster file.

    Attributes:
        where: The cluster file.
        most: GPU machines at once.
        types: Worker types, in the order in which Ray tries them.
        needs_gib: Memory that a trial of each size takes of a GPU, of each where it has several, about.
        shares: GPUs that a trial of each size holds.
        packings: By node type and size.
        bills: By node type; empty where the dataset is not there to be counted.
        warnings: What the cluster would be paid for and not used, and what will probably go wrong.
    """

    where: str
    most: int
    types: tuple[NodeType, ...]
    needs_gib: Mapping[Variant, float]
    shares: Mapping[Variant, float]
    packings: Mapping[str, Mapping[Variant, Packing]]
    bills: Mapping[str, Bill]
    warnings: tuple[str, ...]

    def at_once(self, variant: Variant) -> int:
        """Trials of one size on the whole cluster, filled with the types that Ray tries first."""
        left, trials = self.most, 0
        for one in self.types:
            machines = min(left, one.most)
            trials += machines * self.packings[one.name][variant].trials
            left -= machines
        return trials

    def to_json(self) -> dict[str, Any]:
        """Facts for `segsweep check --cluster --json`."""
        return {
            "file": self.where,
            "most_machines": self.most,
            "prices_as_of": AS_OF,
            "sizes": {
                variant: {
                    "gpus": self.shares[variant],
                    "needs_gib": round(self.needs_gib[variant], 1),
                    "trials_at_once": self.at_once(variant),
                }
                for variant in self.shares
            },
            "types": [
                {
                    "name": one.name,
                    "instance_type": one.instance_type,
                    "usd_per_hour": one.usd_per_hour,
                    "trials_on_a_machine": {
                        variant: self.packings[one.name][variant].trials for variant in self.shares
                    },
                    "bill": vars(self.bills[one.name]) if one.name in self.bills else None,
                }
                for one in self.types
            ],
            "warnings": list(self.warnings),
        }

    def to_text(self) -> str:
        """For a person."""
        names = [one.name for one in self.types]
        width = max(map(len, names), default=0)
        order = ", ".join(names)
        lines = [
            f"cluster     {self.where}: at most {self.most} GPU machines at once; Ray tries {order}, in this order"
        ]
        head = "  ".join(f"{name:>{width}}" for name in names)
        lines += ["", f"{'size':<5} {'GPUs':>5} {'GiB, about':>10}  {head}  {'all at once':>11}"]
        for variant, share in self.shares.items():
            cells = "  ".join(f"{self.packings[name][variant].trials:>{width}}" for name in names)
            lines.append(
                f"{variant:<5} {share:>5g} {self.needs_gib[variant]:>10.1f}  {cells}  {self.at_once(variant):>11}"
            )
        lines += ["(trials that one machine holds, were they all of this size)", ""]
        for one in self.types:
            price = one.usd_per_hour
            cost = "price not known" if price is None else f"about {price:.2f} USD an hour"
            line = f"{one.name:<{width}}  {one.instance_type}, {cost}"
            if one.name in self.bills:
                bill = self.bills[one.name]
                line += (
                    f"; this sweep about {_round(bill.gpu_hours)} GPU-hours and {_round(bill.usd)} USD, "
                    f"at most {_round(bill.worst_gpu_hours)} and {_round(bill.worst_usd)}"
                )
            lines.append(line)
        lines.append(
            f"(prices of {AS_OF} in us-east-1, from memory; hours guessed from FLOPs, within a factor of three, filled "
            "machines; head and disks not counted)"
        )
        return "\n".join([*lines, *(f"warning     {line}" for line in self.warnings)])


def plan(job: Job, where: str, path: Path, images: int | None) -> Plan:
    """Fit a job to a cluster file, which need not be edited yet.

    Args:
        job: The job.
        where: Its file, for messages.
        path: The cluster file.
        images: Training images of its dataset; None where that is not there.

    Raises:
        ConfigError: The file describes no machines whose content is known, or a size fits none of them.
    """
    data = read_yaml(path)
    if _section(data, "provider").get("type") == "local":
        fix = "on the head, `RAY_ADDRESS=auto segsweep check JOB` asks the machines themselves"
        raise ConfigError(Problem(str(path), "does not say what its machines hold", "provider.type", "local", fix))
    types = tuple(sorted(_types(data, str(path)), key=lambda one: -one.priority))
    if not types:
        raise ConfigError(Problem(str(path), "must name a type of workers with GPUs", "available_node_types"))
    most = data.get("max_workers")
    most = most if isinstance(most, int) else sum(one.most for one in types)
    imgsz, batch = (
        value if isinstance(value := job.train.get(name, usual), int) and value > 0 else usual
        for name, usual in (("imgsz", _DEFAULT_IMGSZ), ("batch", _DEFAULT_BATCH))
    )
    wanted = {variant: job.resources_of(variant) for variant in job.variants}
    packings = {
        one.name: {v: pack(one.gpus, one.cpus, wants.gpus, wants.cpus) for v, wants in wanted.items()} for one in types
    }
    homeless = [
        Problem(where, f"fits no machine of {path}", f"resources.{variant}", f"{wants.gpus:g} GPUs, {wants.cpus} CPUs")
        for variant, wants in wanted.items()
        if not any(packings[one.name][variant].trials for one in types)
    ]
    if homeless:
        raise ConfigError(homeless)
    found = Plan(
        where=str(path),
        most=most,
        types=types,
        needs_gib={v: trial_gib(v, imgsz, math.ceil(batch / wants.ranks)) for v, wants in wanted.items()},
        shares={variant: wants.gpus for variant, wants in wanted.items()},
        packings=packings,
        bills={} if images is None else dict(_bills(job, types, imgsz, images)),
        warnings=(),
    )
    return Plan(**{**vars(found), "warnings": (*_warnings(found, job), *_head_warnings(data))})


def _types(data: Mapping[str, Any], where: str) -> Iterator[NodeType]:
    head = data.get("head_node_type")
    for name, body in _section(data, "available_node_types").items():
        if name == head or not isinstance(body, Mapping):
            continue
        config = _section(body, "node_config")
        instance_type = str(config.get("InstanceType", ""))
        machine = MACHINES.get(instance_type)
        resources = _section(body, "resources")
        gpus, cpus = (
            int(resources.get(kind, 0 if machine is None else held))
            for kind, held in (("GPU", machine.gpus if machine else 0), ("CPU", machine.cpus if machine else 0))
        )
        market = _section(config, "InstanceMarketOptions").get("MarketType")
        yield NodeType(
            name=str(name),
            instance_type=instance_type,
            machine=machine,
            gpus=gpus,
            cpus=cpus,
            most=int(body.get("max_workers", data.get("max_workers", 1))),
            priority=int(body.get("priority", 0)),
            is_spot=market == "spot",
        )


def _bills(job: Job, types: Sequence[NodeType], imgsz: int, images: int) -> Iterator[tuple[str, Bill]]:
    for one in types:
        if one.machine is None or one.usd_per_hour is None or not one.machine.gpus:
            continue
        hours = []
        for is_worst in (False, True):
            epochs = epochs_by_variant(job.horizon, job.budget.trials, job.variants, is_worst=is_worst)
            seconds = (n * images * image_seconds(v, imgsz, one.machine.gpu) for v, n in epochs.items())
            hours.append(min(sum(seconds) / 3600, job.budget.most_gpu_hours or float("inf")))
        price = one.usd_per_hour / one.machine.gpus
        yield one.name, Bill(hours[0], hours[1], hours[0] * price, hours[1] * price)


def _warnings(found: Plan, job: Job) -> Iterator[str]:
    for one in found.types:
        for variant, share in found.shares.items():
            packing = found.packings[one.name][variant]
            if not packing.trials:
                yield f"{one.name}: no trial of {variant} fits; it never runs there"
                continue
            need = found.needs_gib[variant]
            has = min(share, 1) * one.machine.gpu_gib if one.machine is not None else math.inf
            if share and need > has:
                of_each = " of each GPU" if share > 1 else ""
                yield (
                    f"{one.name}: a trial of {variant} needs about {need:.1f} GiB{of_each} and its share is "
                    f"{has:.1f}: expect it to run out of memory; raise resources.{variant}.gpus"
                )
            if one.gpus and packing.idle_gpus > _LEAST_IDLE * one.gpus:
                whole = f"{one.gpus} GPUs" if share > 1 else "a GPU"
                why = "for want of CPUs" if packing.is_bound_by_cpus else f"{share:g} does not divide {whole}"
                yield f"{one.name}: full of {variant}, {packing.idle_gpus:g} of {one.gpus} GPUs lie idle: {why}"
    largest = min(map(found.at_once, job.variants))
    if job.concurrency is None:
        smallest = max(map(found.at_once, job.variants))
        yield (
            "concurrency is not set: a sweep runs as many trials as fit on what is there when it starts, one on an "
            f"empty cluster; set it from {largest} to {smallest}"
        )
    elif job.concurrency < largest:
        yield f"concurrency is {job.concurrency}, and the cluster holds {largest} trials of the largest size"


def _head_warnings(data: Mapping[str, Any]) -> Iterator[str]:
    head = _section(_section(data, "available_node_types"), str(data.get("head_node_type")))
    if _section(head, "resources").get("CPU") != 0:
        yield "the head gives its CPUs away: trials may run there; set its resources to {CPU: 0, GPU: 0}"


def _round(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _section(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name)
    return value if isinstance(value, Mapping) else {}
