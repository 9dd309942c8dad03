"""A job: one YAML that describes one reproducible sweep."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from segsweep.config.augmentation import (
    AugmentationFile,
    Judge,
    is_dimension,
    job_clashes,
    load_augmentation_file,
    parse_augmentation,
)
from segsweep.config.loading import Real, Scalar, apply_sets, problems_of, read_yaml, validate
from segsweep.config.search_space import PER_VARIANT, SearchSpace, parse_search_space
from segsweep.core.hyperparameters import HYPERPARAMETERS, IGNORED_BY_AUTO, broken_rule
from segsweep.core.ledger import Horizon
from segsweep.core.trials import ParamValue
from segsweep.core.variants import VARIANTS, Variant
from segsweep.errors import ConfigError, Problem

_FROZEN = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
Positive = Annotated[int, Field(ge=1, strict=True)]


class Budget(BaseModel):
    """When the sweep ends.

    Attributes:
        max_epochs: Horizon of a trial, in epochs.
        trials: Trials in all, over all sizes and all sessions.
        gpu_hours: GPU-hours in all, over all sessions; None for no limit. CPU trials cost none.
        usd: Price in all of the GPU-hours that trials hold, in US dollars; None for no limit. Machines that wait, the
            head and disks are not counted.
        usd_per_gpu_hour: Price of one; what `usd` is counted with.
    """

    model_config = _FROZEN

    max_epochs: Annotated[int, Field(ge=1, le=9999, strict=True)]  # checkpoints are named with four digits
    trials: Positive
    gpu_hours: Annotated[Real, Field(gt=0)] | None = None
    usd: Annotated[Real, Field(gt=0)] | None = None
    usd_per_gpu_hour: Annotated[Real, Field(gt=0)] | None = None

    @property
    def most_gpu_hours(self) -> float | None:
        """GPU-hours after which the sweep ends: the lesser of `gpu_hours` and what `usd` buys; None for no limit."""
        bought = None if self.usd is None or self.usd_per_gpu_hour is None else self.usd / self.usd_per_gpu_hour
        return min((hours for hours in (self.gpu_hours, bought) if hours is not None), default=None)


class Scheduler(BaseModel):
    """ASHA's terms: first milestone, and one in how many goes on."""

    model_config = _FROZEN

    grace_epochs: Positive = 1
    reduction_factor: Annotated[int, Field(ge=2, strict=True)] = 3


class Search(BaseModel):
    """How trials are proposed and compared.

    Attributes:
        policy: `pooled` keeps an ASHA for each size and one searcher for all; `plain` is Ray's ordinary
            HyperOptSearch and ASHA with the size as one more choice.
        startup_trials: Random trials before TPE proposes.
    """

    model_config = _FROZEN

    policy: Literal["pooled", "plain"] = "pooled"
    startup_trials: Positive = 8


class Resources(BaseModel):
    """What one trial of a size holds while it runs.

    Attributes:
        gpus: A fraction, so that several trials share a GPU; a whole number, so that a trial trains on several of one
            machine, each with its part of the batch; 0 trains on the CPU.
        cpus: CPU cores; also the number of threads torch gets, shared among the GPUs.
    """

    model_config = _FROZEN

    gpus: Annotated[Real, Field(ge=0)] = 1.0
    cpus: Annotated[int, Field(ge=1, strict=True)] = 4

    @field_validator("gpus")
    @classmethod
    def _whole_above_one(cls, value: float) -> float:
        if value > 1 and not float(value).is_integer():
            raise ValueError("a part of one GPU, or whole ones: a number from 0 to 1, or 2, 3, ...")
        return value

    @property
    def ranks(self) -> int:
        """Processes that train one trial together, one a GPU."""
        return max(1, int(self.gpus))


class Job(BaseModel):
    """A validated job.

    Attributes:
        name: Name of the run; its place is `<storage>/<name>`.
        dataset: A bundle's folder or `s3://` URI, with or without the digest in its name.
        storage: Folder or `s3://` URI that holds runs.
        search_space: File of distributions.
        augment: File of albumentations transforms, of which training takes the online ones; None leaves Ultralytics
            its own.
        variants: Sizes to compare.
        weights: `coco`, `scratch`, or a folder or s3 prefix that holds `yolov8<v>-seg.pt`.
        missing_weights: What to do for a size that `weights` lacks.
        budget: When the sweep ends.
        scheduler: When trials may be stopped.
        search: How trials are proposed.
        resources: Per size; the rest has defaults.
        concurrency: Trials at the same time; None for as many as fit on what is there at the start.
        max_failures: Trials in a row that fail for the same kind of reason before the sweep stops and says so; a loss
            that becomes NaN does not count.
        hang_minutes: Silence after which a trial's worker is given up and the trial goes on in another, where ten of
            its size's epochs are not longer; None to wait for ever.
        checkpoint_minutes: From one checkpoint in the run's storage to the next, besides those at rungs: what the loss
            of a node can cost. On the node there is one after every epoch.
        train: Ultralytics training arguments that are not searched.
        seed: Of the search and of every trial; NumPy takes 32 bits.
    """

    model_config = _FROZEN

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    dataset: Annotated[str, Field(min_length=1)]
    storage: Annotated[str, Field(min_length=1)]
    search_space: Annotated[str, Field(min_length=1)]
    augment: Annotated[str, Field(min_length=1)] | None = None
    variants: tuple[Variant, ...] = VARIANTS
    weights: Annotated[str, Field(min_length=1)] = "coco"
    missing_weights: Literal["error", "scratch"] = "error"
    budget: Budget
    scheduler: Scheduler = Scheduler()
    search: Search = Search()
    resources: dict[Variant, Resources] = Field(default_factory=dict)
    concurrency: Positive | None = None
    max_failures: Positive = 3
    hang_minutes: Annotated[Real, Field(gt=0)] | None = 60.0
    checkpoint_minutes: Annotated[Real, Field(ge=0)] = 5.0
    train: dict[str, Scalar] = Field(default_factory=dict)
    seed: Annotated[int, Field(ge=0, lt=2**32, strict=True)] = 0

    @field_validator("variants")
    @classmethod
    def _unique(cls, value: tuple[Variant, ...]) -> tuple[Variant, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError("must name at least one size, and every size once")
        return tuple(sorted(value, key=VARIANTS.index))

    @property
    def horizon(self) -> Horizon:
        """How long trials train and where they may be stopped."""
        return Horizon(self.budget.max_epochs, self.scheduler.grace_epochs, self.scheduler.reduction_factor)

    def resources_of(self, variant: Variant) -> Resources:
        """What one trial of the size holds."""
        return self.resources.get(variant, Resources())


class JobFile(BaseModel):
    """A job with the files it names.

    Attributes:
        job: The validated job.
        space: The validated search space.
        augmentation: What its `augment` holds, in a shape that is right; albumentations is asked before training.
    """

    model_config = ConfigDict(frozen=True)

    job: Job
    space: SearchSpace
    augmentation: AugmentationFile | None = None

    def default_params(self) -> dict[str, ParamValue]:
        """What a user gets without a search: Ultralytics' defaults, and for transforms what their file says."""
        return {name: self._default(name) for name in self.space.distributions}

    def default_of(self, variant: Variant) -> Mapping[str, float] | None:
        """The default as a point of the size's unit cube, None where it lies outside."""
        return self.space.unit_point(self.default_params(), variant)

    def _default(self, name: str) -> ParamValue:
        if not is_dimension(name):
            return HYPERPARAMETERS[name].default
        value = self.augmentation.default_of(name) if self.augmentation else None
        assert value is not None  # a job whose space names what its file lacks is refused
        return value


def load_job(path: Path, sets: tuple[str, ...] = (), judge: Judge | None = None) -> JobFile:
    """Read a job and the files it names; `--set search_space.lr0=...` reaches into the space.

    Args:
        path: The job's YAML.
        sets: `a.b=value` assignments; those below `search_space.` change the space that the job names.
        judge: Asked about every transform of the augment file; None looks at its shape only.

    Raises:
        ConfigError: Everything that is wrong with any of the files, at once.
    """
    where = str(path)
    prefix = "search_space."
    into_space = tuple(text.removeprefix(prefix) for text in sets if text.startswith(prefix))
    data = read_yaml(path)
    job: Job | None = None
    space: SearchSpace | None = None
    problems: list[Problem] = []
    try:
        data = apply_sets(data, [text for text in sets if not text.startswith(prefix)])
    except ConfigError as exc:
        problems.extend(exc.problems)
    try:
        job = Job.model_validate(data)
    except ValidationError as exc:
        problems.extend(problems_of(exc, where, Job))
    named = data.get("search_space")
    flat: Mapping[str, Any] = {}
    if isinstance(named, str) and named:
        try:
            flat = apply_sets(read_yaml(Path(named)), into_space)
            space = parse_search_space(flat, named)
        except ConfigError as exc:
            problems.extend(exc.problems)
    augmentation: AugmentationFile | None = None
    augment = data.get("augment")
    if isinstance(augment, str) and augment:
        try:
            augmentation = load_augmentation_file(Path(augment), judge)
        except ConfigError as exc:
            problems.extend(exc.problems)
    if augmentation is not None or not augment:
        problems.extend(job_clashes(augmentation, str(augment), flat, where))
    problems.extend(_clashes(data, flat, where))
    if job is not None and space is not None:
        problems.extend(_uneven_batches(job, space, where))
    if problems or job is None or space is None:
        raise ConfigError(problems)
    return JobFile(job=job, space=space, augmentation=augmentation)


def from_run(
    job: Mapping[str, Any], space: Mapping[str, Any], augmentation: Mapping[str, Any] | None = None
) -> JobFile:
    """The job of a run, from its `run.json`.

    Raises:
        ConfigError: The run was written by a version with other rules.
    """
    return JobFile(
        job=validate(Job, job, "run.json"),
        space=parse_search_space(space, "run.json"),
        augmentation=None if augmentation is None else parse_augmentation(augmentation, "run.json"),
    )


def _clashes(data: Mapping[str, Any], space: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """Rules over several fields, asked of the raw data so that one wrong field does not hide them."""
    grace, horizon = (_section(data, name).get(key) for name, key in _HORIZON_FIELDS)
    if isinstance(grace, int) and isinstance(horizon, int) and grace > horizon >= 1:
        rule = f"must not exceed budget.max_epochs = {horizon}"
        yield Problem(where, rule, "scheduler.grace_epochs", str(grace), "lower it or train longer")
    trials, variants = _section(data, "budget").get("trials"), data.get("variants", VARIANTS)
    if type(trials) is int and isinstance(variants, list | tuple) and 1 <= trials < len(variants):
        rule = f"must give each of the {len(variants)} variants at least one trial"
        yield Problem(where, rule, "budget.trials", str(trials), "raise it, or name fewer variants")
    budget = _section(data, "budget")
    if budget.get("usd") is not None and budget.get("usd_per_gpu_hour") is None:
        fix = "e.g. 0.64 for a quarter of a g5.12xlarge on spot; `segsweep check JOB --cluster FILE` tells prices"
        yield Problem(where, "is needed to count budget.usd", "budget.usd_per_gpu_hour", fix=fix)
    train = data.get("train", {})
    if not isinstance(train, Mapping):
        return  # the model has said so
    for name, value in train.items():
        rule = broken_rule(name, value)
        if not isinstance(value, float | int | str | bool):
            continue  # the model has said so
        if rule:
            yield Problem(where, rule, f"train.{name}", repr(value))
        elif name in space:
            yield Problem(where, "is searched by the search space too", f"train.{name}", repr(value), "keep one")
    optimizers = list(_optimizers(space))
    auto_is_possible = "auto" in optimizers if optimizers else train.get("optimizer", "auto") == "auto"
    searched = [name for name in IGNORED_BY_AUTO if name in space]
    ignored = searched or [name for name in IGNORED_BY_AUTO if name in train]
    if ignored and auto_is_possible:
        field = "search_space.optimizer" if optimizers else "train.optimizer"
        whose = "which the search space searches" if searched else "which the job sets"
        rule = f"optimizer auto ignores {' and '.join(ignored)}, {whose}"
        yield Problem(where, rule, field, "auto", "name an optimizer, e.g. train.optimizer: SGD")


def _uneven_batches(job: Job, space: SearchSpace, where: str) -> Iterator[Problem]:
    """Batches that the GPUs of a trial cannot share evenly: a step would be of another size than the job says."""
    for variant in job.variants:
        ranks = job.resources_of(variant).ranks
        fixed = job.train.get("batch", HYPERPARAMETERS["batch"].default)
        searched = space.of(variant).get("batch")
        rule = f"must be a multiple of resources.{variant}.gpus = {ranks}: each GPU takes an equal part"
        # Of `quniform` the first, the last and the step: if they are multiples, so is all between.
        for batch in (fixed,) if searched is None else searched.choice or searched.quniform or ():
            if ranks > 1 and isinstance(batch, int | float) and batch % ranks:
                field = "train.batch" if searched is None else "search_space.batch"
                yield Problem(where, rule, field, str(batch), f"e.g. {math.ceil(batch / ranks) * ranks}")


_HORIZON_FIELDS = (("scheduler", "grace_epochs"), ("budget", "max_epochs"))


def _optimizers(space: Mapping[str, Any]) -> Iterator[object]:
    """Every option that a search space, valid or not, has for the optimizer, for any size."""
    for owner in (space, *_section(space, PER_VARIANT).values()):
        if isinstance(owner, Mapping):
            options = _section(owner, "optimizer").get("choice")
            yield from options if isinstance(options, list) else ()


def _section(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name)
    return value if isinstance(value, Mapping) else {}
