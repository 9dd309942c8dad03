"""Dry run of a job: everything that would stop a sweep, told at once, and what it would cost at worst."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
import yaml

from segsweep.config.augmentation import is_dimension
from segsweep.config.job import Job, JobFile
from segsweep.core.forecast import mean_epochs
from segsweep.core.trials import ParamValue
from segsweep.core.variants import nominal_epoch_cost
from segsweep.dataset.augmentation.online import problems_of_all_online, problems_of_dimensions
from segsweep.dataset.bundles.manifest import Manifest, read_manifest
from segsweep.dataset.bundles.naming import resolve_bundle
from segsweep.dataset.records import SPLITS
from segsweep.errors import ConfigError, DatasetError, Problem, SegsweepError, StorageError
from segsweep.storage.opening import check_reachable, open_store
from segsweep.sweep.ray_start import cluster_address, join_cluster, require_listener
from segsweep.training.weights import missing_weights


@dataclass(frozen=True)
class CheckFacts:
    """What a job comes to.

    Attributes:
        job: The resolved job.
        bundle_uri: The bundle that `dataset` names.
        manifest: Its manifest.
        there: CPUs and GPUs of each machine that is there now; empty where that was not asked.
    """

    job: JobFile
    bundle_uri: str
    manifest: Manifest
    there: tuple[Mapping[str, float], ...]

    @property
    def worst_case_epochs(self) -> int:
        """Epochs if no trial were ever stopped."""
        return self.job.job.budget.trials * self.job.job.budget.max_epochs

    @property
    def expected_epochs(self) -> float:
        """Epochs if one in reduction_factor goes on at every milestone and every size's default is fully trained."""
        job = self.job.job
        defaults = min(len(job.variants), job.budget.trials)
        rest = job.budget.trials - defaults
        return defaults * job.budget.max_epochs + rest * mean_epochs(job.horizon)

    def to_json(self) -> dict[str, Any]:
        """Facts for `segsweep check --json`."""
        job = self.job.job
        return {
            "job": job.model_dump(mode="json"),
            "search_space": self.job.space.to_flat(),
            "augmentation": self.job.augmentation.to_flat() if self.job.augmentation else None,
            "dataset": self.bundle_uri,
            "dataset_digest": self.manifest.digest,
            "milestones": list(job.horizon.milestones),
            "max_epochs": job.budget.max_epochs,
            "worst_case": {"trials": job.budget.trials, "epochs": self.worst_case_epochs},
            "expected_epochs": round(self.expected_epochs, 1),
            "nominal_epoch_cost": {variant: round(nominal_epoch_cost(variant), 1) for variant in job.variants},
            "there": _total(self.there),
        }

    def to_text(self) -> str:
        """For a person."""
        job = self.job.job
        splits = ", ".join(f"{name} {self.manifest.splits[name].images}" for name in SPLITS)
        costs = ", ".join(f"{variant} x{nominal_epoch_cost(variant):.1f}" for variant in job.variants)
        total = _total(self.there)
        there = [f"there       {total.get('CPU', 0):g} CPUs, {total.get('GPU', 0):g} GPUs"] if total else []
        fits = ", every size fits" if there else ""
        rungs = ", ".join(map(str, job.horizon.milestones)) or "none: every trial trains to the horizon"
        return "\n".join(
            [
                yaml.safe_dump(job.model_dump(mode="json", exclude_none=True), sort_keys=False).rstrip(),
                "",
                f"dataset     {self.bundle_uri} ({splits} images, {len(self.manifest.classes)} classes)",
                f"rungs       epochs {rungs}; horizon {job.budget.max_epochs}",
                f"cost        at most {job.budget.trials} trials and {self.worst_case_epochs} epochs, "
                f"about {self.expected_epochs:.0f} epochs with early stopping; one epoch by size: {costs}",
                *there,
                f"ok          storage can be written, dataset and weights are there{fits}",
            ]
        )


def check(job: JobFile, where: str, *, is_here: bool = True) -> CheckFacts:
    """Look at everything a sweep needs without starting one.

    Args:
        job: The job and the files it names.
        where: Its file, for messages.
        is_here: Whether it shall run on this machine, or the cluster whose address is set: whether it fits there.

    Raises:
        ConfigError: With every problem found: exit code 2, whatever kind each problem is.
    """
    problems: list[Problem] = []
    manifest: Manifest | None = None
    bundle_uri = ""
    try:
        bundle_uri = resolve_bundle(job.job.dataset)
        manifest = read_manifest(bundle_uri)
        problems += dataset_problems(job.job, manifest, where)
    except (DatasetError, StorageError, ConfigError) as exc:
        problems += _as_problems(exc, where, "dataset", job.job.dataset)
    try:
        problems += check_reachable(open_store(job.job.storage))
    except SegsweepError as exc:
        problems += _as_problems(exc, where, "storage", job.job.storage)
    try:
        problems += missing_weights(job.job, where)
    except SegsweepError as exc:
        problems += _as_problems(exc, where, "weights", job.job.weights)
    try:
        problems += augmentation_problems(job)
    except SegsweepError as exc:
        problems += _as_problems(exc, where, "augment", str(job.job.augment))
    there: tuple[Mapping[str, float], ...] = ()
    if is_here:
        try:
            there = _resources_there()
            problems += fit_problems(job.job, there, where)
        except ConfigError as exc:
            problems += exc.problems
    if problems or manifest is None:
        raise ConfigError(problems)
    return CheckFacts(job, bundle_uri, manifest, there)


def dataset_problems(job: Job, manifest: Manifest, where: str) -> list[Problem]:
    """What the bundle lacks for the job."""
    problems = [
        Problem(where, f"the bundle has no {name} images", "dataset", job.dataset, "prepare it again with --split")
        for name in SPLITS
        if name not in manifest.splits or not manifest.splits[name].images
    ]
    imgsz = job.train.get("imgsz", 640)
    if isinstance(imgsz, int) and imgsz > manifest.imgsz:
        rule = f"the bundle's images are {manifest.imgsz} pixels: training would enlarge them"
        fix = f"prepare with --imgsz {imgsz}, or train at {manifest.imgsz}"
        problems.append(Problem(where, rule, "train.imgsz", str(imgsz), fix))
    return problems


def augmentation_problems(job: JobFile) -> list[Problem]:
    """What albumentations, asked itself, has against the job's transforms and the values that the search may give them.

    Raises:
        MissingExtraError: Albumentations is not installed.
    """
    if job.augmentation is None:
        return []
    searched: dict[str, list[ParamValue]] = {}
    for variant in job.job.variants:
        for name, distribution in job.space.of(variant).items():
            if is_dimension(name):
                ends = distribution.choice or (distribution.value(0.0), distribution.value(1.0))
                searched.setdefault(name, []).extend(end for end in ends if end not in searched.get(name, ()))
    return [
        *problems_of_all_online(job.augmentation.online, str(job.job.augment)),
        *problems_of_dimensions(job.augmentation, searched, job.job.search_space),
    ]


def fit_problems(job: Job, there: Sequence[Mapping[str, float]], where: str) -> list[Problem]:
    """Sizes that ask for more than any one machine has; Ray would wait for it without a word."""
    problems = []
    for variant in job.variants:
        wanted = job.resources_of(variant)
        for kind, amount in (("GPU", wanted.gpus), ("CPU", wanted.cpus)):
            found = max((machine.get(kind, 0.0) for machine in there), default=0.0)
            if amount > found:
                field = f"resources.{variant}.{kind.lower()}s"
                on_a_machine = " on a machine" if len(there) > 1 else ""
                rule = f"there are {found:g} {kind}s{on_a_machine}: this size would wait for ever"
                fix = f"--set {field}={found:g}" if kind == "CPU" or not found else "ask for less"
                problems.append(Problem(where, rule, field, f"{amount:g}", fix))
    return problems


def require_fit(job: JobFile, manifest: Manifest, where: str) -> None:
    """What a sweep refuses before it takes the run; a cluster that grows may fit later, so only this machine is judged.

    Raises:
        ConfigError: Every problem found.
    """
    problems = [*dataset_problems(job.job, manifest, where), *augmentation_problems(job)]
    address = cluster_address()
    if address is None:
        problems += fit_problems(job.job, _resources_there(), where)
    else:
        require_listener(address)
    if problems:
        raise ConfigError(problems)


def _total(machines: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {kind: sum(one.get(kind, 0.0) for one in machines) for kind in ("CPU", "GPU")} if machines else {}


def _resources_there() -> tuple[Mapping[str, float], ...]:
    """CPUs and GPUs of each machine of the cluster whose address is set, else of this machine."""
    address = cluster_address()
    if address is not None:
        join_cluster(address)
        try:
            return tuple(node["Resources"] for node in ray.nodes() if node["Alive"])
        finally:
            ray.shutdown()
    from ray._private.accelerators import NvidiaGPUAcceleratorManager  # noqa: PLC0415

    gpus = NvidiaGPUAcceleratorManager.get_current_node_num_accelerators()
    return ({"CPU": float(os.cpu_count() or 1), "GPU": float(gpus)},)


def _as_problems(error: SegsweepError, where: str, field: str, value: str) -> list[Problem]:
    return list(error.problems) or [Problem(where, str(error), field, value)]
