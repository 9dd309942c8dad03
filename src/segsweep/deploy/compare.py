"""`segsweep compare`: the same images through several models, runtimes and thread counts, measured in turns.

```
OUT/compare.json   every figure, with the conditions it was measured under
OUT/compare.csv    one row a configuration
OUT/compare.png    medians by stage; where matplotlib is installed
```

A configuration is a model with a number of threads. Each round runs each of them in a fresh process with its threads
pinned; every other round runs them in reverse order, so that a machine that grows slow or fast favours none.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segsweep.dataset.pictures.picture import read_picture
from segsweep.dataset.records import IMAGE_SUFFIXES
from segsweep.deploy.agreement import Agreement, Found, agree, decode_found
from segsweep.deploy.compare_chart import draw_comparison
from segsweep.deploy.compare_run import CHECKPOINT, Order
from segsweep.deploy.comparison import Comparison, Configuration, ProcessRun, pool
from segsweep.deploy.image_files import find_image_files
from segsweep.deploy.model_file import find_model
from segsweep.errors import ConfigError, DatasetError, MissingExtraError, Problem, ReportError, StorageError, shortened
from segsweep.inference.machine import available_cpus, this_machine
from segsweep.storage.files import disk_errors, write_whole

MOST_THREADS = 256
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LAST_LINES = 3

Runner = Callable[[Order], Mapping[str, Any]]


@dataclass(frozen=True)
class CompareOptions:
    """How to compare.

    Attributes:
        threads: Numbers of CPU threads, as they were typed.
        rounds: Fresh processes for each configuration, at least 1.
        conf: A score must be above this, 0-1.
        reference: The model, as it is named among the others, to agree with; the first where None.
        cache_dir: This node's cache, for Ultralytics' settings.
    """

    threads: tuple[str, ...]
    rounds: int
    conf: float
    reference: Path | None
    cache_dir: Path


def run_process(order: Order) -> Mapping[str, Any]:
    """Carry out an order in a fresh process with its threads pinned; see `compare_run`.

    Raises:
        ConfigError: The process says that the model is none that runs here.
        ReportError: The process failed; the message holds the last lines of what it said.
    """
    pinned = {name: str(order.threads) for name in _THREAD_VARIABLES}
    done = subprocess.run(
        [sys.executable, "-m", "segsweep.deploy.compare_run"],
        env={**os.environ, **pinned},
        input=json.dumps(asdict(order)),
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        check=False,
    )
    try:
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        told = {}
    if done.returncode == ConfigError.exit_code and "problems" in told:
        raise ConfigError([Problem(**problem) for problem in told["problems"]])
    if done.returncode != 0 or not told:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()][-_LAST_LINES:]
        text = " | ".join([*said, f"exit status {done.returncode}"])
        raise ReportError(Problem(order.model, "could not be run", value=text))
    return told


def compare(
    models: Sequence[Path],
    images: Sequence[str],
    out: Path,
    options: CompareOptions,
    say: Callable[[str], None],
    run: Runner = run_process,
) -> Comparison:
    """Measure every model with every number of threads and write what was found.

    A configuration that fails is told, and the rest goes on. Every file is written whole or not at all.

    Args:
        models: ONNX files, folders of `segsweep export`, and checkpoints for Ultralytics with torch.
        images: Files, folders and patterns.
        out: Folder of results; made if it is missing.
        options: How.
        say: Told what is done and what is wrong.
        run: Carries out an order in a process.

    Raises:
        ConfigError: A model, an option or the images break a rule, or the models know different classes; all are told.
        MissingExtraError: A runtime is not installed.
        ReportError: Not one configuration ran.
        StorageError: `out` cannot be written.
    """
    configurations, files, names = _checked(models, images, out, options, say, run)
    readable, broken = _readable(files, images, say)
    with disk_errors(str(out)):
        out.mkdir(parents=True, exist_ok=True)
    too_many = sorted({one.threads for one in configurations if one.threads > available_cpus()})
    if too_many:
        say(f"{', '.join(map(str, too_many))} threads are more than the {available_cpus()} CPUs that may be used")
    reference = str(options.reference or models[0])
    with tempfile.TemporaryDirectory(prefix="segsweep-compare-") as folder:
        rounds = _Rounds(configurations, options, [str(path) for path in readable], Path(folder))
        for turn in range(1, options.rounds + 1):
            rounds.take(turn, say, run)
        agreements = rounds.agreements(reference)
    if not rounds.runs:
        raise ReportError([Problem(one["model"], "could not be run", value=one["error"]) for one in rounds.failed])
    comparison = Comparison(
        out=out,
        reference=reference,
        conf=options.conf,
        rounds=options.rounds,
        images=tuple(str(path) for path in readable),
        classes=names,
        machine=this_machine(),
        measured=tuple(
            pool(one, rounds.runs[one], rounds.digests[one], agreements.get(one))
            for one in configurations
            if one in rounds.runs
        ),
        failed=tuple(rounds.failed),
        broken=broken,
    )
    write_whole(out / "compare.json", (json.dumps(comparison.to_json(), indent=1) + "\n").encode())
    write_whole(out / "compare.csv", comparison.to_csv().encode(errors="backslashreplace"))
    try:
        write_whole(out / "compare.png", draw_comparison(comparison))
    except MissingExtraError as exc:
        say(f"compare.png is not drawn: {exc}")
    return comparison


class _Rounds:
    """Processes in turn.

    Attributes:
        runs: What was measured, by configuration, of those that never failed.
        digests: Of the objects found in each of its rounds.
        failed: Those that failed: `model`, `threads` and `error`.
    """

    def __init__(
        self, configurations: Sequence[Configuration], options: CompareOptions, images: Sequence[str], folder: Path
    ) -> None:
        self.runs: dict[Configuration, list[ProcessRun]] = {one: [] for one in configurations}
        self.digests: dict[Configuration, list[str]] = {one: [] for one in configurations}
        self.failed: list[dict[str, Any]] = []
        self._options, self._images, self._folder = options, tuple(images), folder
        self._numbers = {one: number for number, one in enumerate(configurations)}

    def take(self, turn: int, say: Callable[[str], None], run: Runner) -> None:
        """One process for each configuration; in reverse in even turns, which count from 1."""
        order = list(self.runs) if turn % 2 else list(reversed(self.runs))
        for one in order:
            say(f"round {turn} of {self._options.rounds}: {one}")
            found = self._found(one, turn)
            try:
                told = run(
                    Order(
                        str(one.path),
                        one.threads,
                        self._options.conf,
                        str(self._options.cache_dir),
                        self._images,
                        str(found),
                    )
                )
            except (ReportError, ConfigError) as exc:
                say(f"{one} failed: {exc}")
                self.failed.append({"model": one.model, "threads": one.threads, "error": str(exc)})
                del self.runs[one]
            else:
                self.runs[one].append(ProcessRun.from_json(told))
                self.digests[one].append(hashlib.sha256(found.read_bytes()).hexdigest())
                if turn > 1:
                    found.unlink()

    def agreements(self, reference: str) -> dict[Configuration, Agreement]:
        """Of the first round of each configuration with that of the reference, at its first number of threads."""
        against = next((one for one in self.runs if one.model == reference), None)
        if against is None:
            return {}
        return {one: agree(self._objects(against), self._objects(one)) for one in self.runs}

    def _objects(self, one: Configuration) -> Iterator[tuple[Found, ...]]:
        with self._found(one, 1).open(encoding="ascii") as file:
            for line in file:
                yield decode_found(line)

    def _found(self, one: Configuration, turn: int) -> Path:
        return self._folder / f"{self._numbers[one]}-{turn}"


def _checked(
    models: Sequence[Path],
    images: Sequence[str],
    out: Path,
    options: CompareOptions,
    say: Callable[[str], None],
    run: Runner,
) -> tuple[tuple[Configuration, ...], tuple[Path, ...], tuple[str, ...]]:
    """Configurations, image files, and the class names that all models share."""
    threads, problems = _thread_counts(options.threads)
    problems += _option_problems(models, options)
    missing: list[Problem] = []
    found: dict[Path, Path] = {}
    for model in dict.fromkeys(models):
        try:
            found[model] = _model_file(model)
        except MissingExtraError as exc:
            missing += exc.problems
        except ConfigError as exc:
            problems += exc.problems
    try:
        files = find_image_files(images, out)
    except ConfigError as exc:
        files = ()
        problems += exc.problems
    names: dict[Path, tuple[str, ...]] = {}
    for model, path in found.items():
        say(f"looking at {model}")
        try:
            names[model] = tuple(run(Order(str(path), 1, 0.45, str(options.cache_dir)))["names"])
        except (ConfigError, ReportError) as exc:
            (missing if isinstance(exc, MissingExtraError) else problems).extend(exc.problems)
    problems += _class_problems(options.reference or models[0], names)
    if problems or missing:
        kind = ConfigError if problems else MissingExtraError
        raise kind([*problems, *dict.fromkeys(missing)])
    configurations = tuple(Configuration(str(model), found[model], count) for model in found for count in threads)
    return configurations, files, next(iter(names.values()))


def _thread_counts(typed: Sequence[str]) -> tuple[list[int], list[Problem]]:
    rule = f"must be whole numbers from 1 to {MOST_THREADS}, separated by commas, each once"
    counts = [int(text) if text.isascii() and text.isdigit() else 0 for text in typed]
    wrong = not counts or len(set(counts)) < len(counts) or not all(1 <= count <= MOST_THREADS for count in counts)
    return counts, [Problem("--threads", rule, value=",".join(typed))] if wrong else []


def _option_problems(models: Sequence[Path], options: CompareOptions) -> list[Problem]:
    problems: list[Problem] = []
    if not 0 <= options.conf <= 1:
        problems.append(Problem("--conf", "must be from 0 to 1", value=str(options.conf)))
    if options.rounds < 1:
        problems.append(Problem("--rounds", "must be at least 1", value=str(options.rounds)))
    if options.reference is not None and options.reference not in models:
        fix = f"name one of {', '.join(map(str, models))}"
        problems.append(Problem("--reference", "must be one of the models", value=str(options.reference), fix=fix))
    twice = [model for model in dict.fromkeys(models) if models.count(model) > 1]
    return problems + [Problem(str(model), "must be named once", "MODEL") for model in twice]


def _model_file(model: Path) -> Path:
    if model.suffix.lower() in IMAGE_SUFFIXES:
        fix = "the last argument alone names images: give their folder, or quote the pattern"
        raise ConfigError(Problem(str(model), "must be a model, not an image", "MODEL", fix=fix))
    if model.suffix != CHECKPOINT:
        path = find_model(model)
        _need("onnxruntime", "edge", model)
        return path
    if not model.is_file():
        raise ConfigError(Problem(str(model), "does not exist or is no file", "MODEL"))
    _need("ultralytics", "train", model)
    return model


def _need(module: str, extra: str, model: Path) -> None:
    if importlib.util.find_spec(module) is None:
        fix = f"pip install 'segsweep[{extra}]'"
        raise MissingExtraError(Problem(f"the module {module}", f"is needed to run {model}", fix=fix))


def _class_problems(reference: Path, names: Mapping[Path, tuple[str, ...]]) -> list[Problem]:
    if reference not in names:
        return []
    rule = f"must know the classes of {reference}, {shortened(names[reference])}"
    return [
        Problem(str(model), rule, "names", shortened(known))
        for model, known in names.items()
        if known != names[reference]
    ]


def _readable(
    files: Sequence[Path], named: Sequence[str], say: Callable[[str], None]
) -> tuple[tuple[Path, ...], tuple[dict[str, str], ...]]:
    """The images that can be read, which then lie in the system's cache for every model alike, and the others."""
    readable: list[Path] = []
    broken: list[dict[str, str]] = []
    for file in files:
        try:
            read_picture(file)
        except (DatasetError, StorageError) as exc:
            say(str(exc))
            broken.append({"file_name": str(file), "error": str(exc)})
        else:
            readable.append(file)
    if not readable:
        raise ConfigError(Problem(", ".join(named), "must hold an image that can be read", "IMAGES"))
    return tuple(readable), tuple(broken)
