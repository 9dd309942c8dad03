"""The `segsweep` command: parse, call one function, print. Every other import waits until a command needs it."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import segsweep
from segsweep.arguments import (
    add_convert_arguments,
    add_dataset_arguments,
    add_inspect_arguments,
    add_job_arguments,
    add_predict_arguments,
    add_run_arguments,
    add_submit_arguments,
    add_video_arguments,
)
from segsweep.errors import DatasetError, MissingExtraError, Problem, RunError, SegsweepError

logger = logging.getLogger("segsweep")

_MOST_LINES = 50  # of an error on the terminal

_EPILOG = """\
A first run, on this machine, with data it makes itself:

  segsweep sample build/sample --format coco
  segsweep prepare build/sample --to build/bundles --name demo --imgsz 96
  segsweep check jobs/demo.yaml
  segsweep sweep jobs/demo.yaml
  segsweep report build/runs/demo --out build/report
  segsweep export build/runs/demo --out build/model

Places are folders or s3:// URIs; AWS_ENDPOINT_URL names another S3 server.
Exit codes: 0 done, 1 unexpected, 2 bad input or configuration, 3 dataset or storage, 4 sweep, report or export.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code of `segsweep.errors`; 1 for a fault of ours, which alone shows a traceback.
    """
    args = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr, force=True)
    logger.setLevel(logging.DEBUG if args.verbose else logging.INFO)
    command: Callable[[argparse.Namespace], int] = args.command
    try:
        return command(args)
    except SegsweepError as exc:
        print(f"segsweep {args.verb}: {_told(exc)}", file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        print(f"segsweep {args.verb}: interrupted; the same command goes on", file=sys.stderr)
        return 4
    except BrokenPipeError:
        # Whoever read us has stopped reading, e.g. `| head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _told(error: SegsweepError) -> str:
    """The error's message; of a flood the beginning, and the name of the file that holds all of it."""
    lines = str(error).splitlines()
    if len(lines) <= _MOST_LINES:
        return "\n".join(lines)
    try:
        with tempfile.NamedTemporaryFile(prefix="segsweep-", suffix=".txt", delete=False) as file:
            file.write("\n".join((*lines, "")).encode())
    except OSError:  # a full disk, say: better a flood than nothing
        return "\n".join(lines)
    return "\n".join((*lines[:_MOST_LINES], f"... and {len(lines) - _MOST_LINES} more; all are in {file.name}"))


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Tells a default where it says something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        says_nothing = action.default is None or action.default is False or action.default == []
        return action.help if says_nothing else super()._get_help_string(action)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="segsweep",
        description=segsweep.__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"segsweep {segsweep.__version__}")
    commands = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)

    def add(name: str, function: Callable[[argparse.Namespace], int], text: str, more: str = "") -> Any:
        sub = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}. {more}".strip(),
            formatter_class=_Help,
        )
        sub.set_defaults(command=function)
        sub.add_argument("--verbose", action="store_true", help="log what happens inside")
        if name not in ("sample", "sweep", "submit"):
            sub.add_argument("--json", action="store_true", help="print facts as JSON")
        return sub

    add_dataset_arguments(
        add("sample", _sample, "write a small learnable raw dataset", "Same seed, same bytes."),
        add(
            "prepare",
            _prepare,
            "raw dataset -> bundle: resized, split, sharded, hashed",
            "The bundle is named NAME-DIGEST; the same input and parameters give the same digest.",
        ),
    )
    add_inspect_arguments(
        add(
            "inspect",
            _inspect,
            "what is in a raw dataset, what is wrong with it, what training would make of it",
            "Never stops at faults: they are part of the answer.",
        )
    )
    add_convert_arguments(
        add(
            "convert",
            _convert,
            "raw dataset -> raw dataset of another format",
            "What was written is read back and compared with the source, object by object.",
        )
    )
    submit = add(
        "submit",
        _submit,
        "send a job to a cluster, or come back to it, and follow its log",
        "The job runs on the cluster's head, whatever becomes of this machine. Where its run exists it goes on with "
        "it; where it is at work already, the log is shown and nothing is started. Sent are the job, its space and its "
        "augmentations, a few kilobytes; data, runs and weights lie on S3, or on a disk that all machines mount. "
        "Exits with the sweep's own code.",
    )
    add_job_arguments(
        add("check", _check, "dry run: resolved job, rungs, worst-case cost, does everything fit"),
        add("sweep", _sweep, "start the sweep, or go on with it if its run exists"),
        submit,
    )
    add_submit_arguments(submit)
    add_run_arguments(
        add("status", _status, "what is running, done, stopped, failed; best per size; budget left"),
        add("report", _report, "evaluate, time and chart the best trial of every size"),
        add("export", _export, "chosen model -> model.onnx, model.pt, model card, parity.json"),
        add(
            "replay",
            _replay,
            "one trial alone, from its record: does it do again what it did",
            "Trains here, without Ray, and compares every epoch with the recorded one: on a CPU all digits must be the "
            "same, on a GPU about. A trial that failed is trained to where it failed. The run is only read.",
        ),
    )
    add_predict_arguments(
        add(
            "predict",
            _predict,
            "images through an exported model: overlays, COCO results, a table",
            "Needs only the extra `edge`. What cannot be read is told, and the rest goes on; the exit code is then 3.",
        )
    )
    add_video_arguments(
        add(
            "video",
            _video,
            "a video file, camera or stream through a model: overlay film, measured frames/s",
            "Writes the film, without sound, and stats.json beside it. A file never drops pictures; of a camera or "
            "stream those are dropped that come while the model is busy, and a stream that breaks is opened again. "
            "Ctrl-C ends the film properly.",
        )
    )
    cluster = add(
        "cluster",
        _cluster,
        "what a cluster needs before `ray up`: checks its file, makes token and, on AWS, roles and security group",
        "Checks the file; makes, or sets right, a security group that lets in you alone, two roles that may touch one "
        "bucket, and the token without which nobody may use the cluster. Doing it again changes nothing; nothing that "
        "somebody else has set is removed. No machine is started.",
    )
    cluster.add_argument("file", type=Path, metavar="FILE", help="the cluster's YAML, e.g. cluster.yaml")
    return parser


def cache_dir() -> Path:
    """This node's cache: `$SEGSWEEP_CACHE`, else `~/.cache/segsweep`."""
    return Path(os.environ.get("SEGSWEEP_CACHE") or Path.home() / ".cache" / "segsweep").expanduser().absolute()


def _cluster(args: argparse.Namespace) -> int:
    from segsweep.cluster.cluster_file import AwsCluster, load_cluster_file
    from segsweep.cluster.token import make_token

    file = load_cluster_file(args.file)
    made: list[str] = []
    facts: dict[str, Any] = {"cluster": file.name, "made": made}
    if isinstance(file, AwsCluster):
        from segsweep.cluster.account import prepare_account

        found = prepare_account(file)
        made += found.made
        facts |= {"account": found.account, "region": file.region, "security_groups": found.security_group_ids}
    if make_token(Path.home()):
        made.append("the token ~/.ray/auth_token")
    if args.json:
        print(json.dumps(facts, indent=1))
        return 0
    for line in made:
        print(f"made: {line}")
    print(f"{file.name}: nothing is missing{'' if made else ', nothing was to be done'}; no machine was started")
    print(f"next: ray up {args.file}")
    return 0


def _sample(args: argparse.Namespace) -> int:
    from segsweep.dataset.sample.synthetic import write_sample

    write_sample(args.dir, args.format, args.images, args.seed, args.imgsz)
    print(f"{args.dir}: {args.images} images in {args.format} format")
    return 0


def _prepare(args: argparse.Namespace) -> int:
    from contextlib import ExitStack

    from rich.console import Console

    from segsweep.dataset.pace import PaceShown
    from segsweep.dataset.preparing.bundle import prepare
    from segsweep.dataset.preparing.options import options_of

    options = options_of(vars(args))
    with ExitStack() as stack:
        progress = stack.enter_context(PaceShown("prepared", Console(stderr=True)))
        map_chunks = None
        if os.environ.get("RAY_ADDRESS", "local") not in ("", "local"):
            _need("ray", "train")
            from segsweep.sweep.preparing import on_cluster

            map_chunks = stack.enter_context(on_cluster(os.environ["RAY_ADDRESS"]))
        bundle = prepare(args.src, args.to, options, progress, map_chunks)
    print(json.dumps(bundle.to_json(), indent=1) if args.json else bundle.to_text())
    return 0


def _inspect(args: argparse.Namespace) -> int:
    from segsweep.dataset.inspect import inspect
    from segsweep.dataset.inspection.text import to_text

    facts = inspect(args.src, args.format, args.html, progress=_counter("inspected"))
    print(json.dumps(facts.to_json(), indent=1) if args.json else to_text(facts))
    if args.html:
        print(f"open {args.html}", file=sys.stderr)
    return 0


def _convert(args: argparse.Namespace) -> int:
    from segsweep.dataset.convert import Source, convert

    names = tuple(name.strip() for name in args.classes.split(",")) if args.classes is not None else ()
    source = Source(args.src, args.source, names)
    conversion = convert(source, args.to, args.format, _counter("written and measured"))
    print(json.dumps(conversion.to_json(), indent=1) if args.json else conversion.to_text())
    return 0


def _check(args: argparse.Namespace) -> int:
    from segsweep.config.job import load_job
    from segsweep.dataset.augmentation.augment import judge

    job = load_job(args.job, tuple(args.sets), judge)
    _need("ray", "train")
    from segsweep.sweep.check import check

    facts = check(job, str(args.job))
    print(json.dumps(facts.to_json(), indent=1) if args.json else facts.to_text())
    return 0


def _sweep(args: argparse.Namespace) -> int:
    from segsweep.config.job import load_job
    from segsweep.dataset.augmentation.augment import judge

    job = load_job(args.job, tuple(args.sets), judge)
    _need("ray", "train")
    _need("ultralytics", "train", imported=False)
    from rich.console import Console

    from segsweep.sweep.run import sweep
    from segsweep.sweep.status import best_by_variant

    outcome = sweep(job, str(args.job), cache_dir(), Console())
    for status in ("COMPLETED", "STOPPED", "FAILED", "PENDING"):
        count = sum(record.status == status for record in outcome.records)
        print(f"{status.lower()}: {count}")
    for variant, record in best_by_variant(outcome.records).items():
        print(f"best {variant}: {record.trial_id}, mask mAP50-95 {record.mask_map50_95:.3f} on val")
    if outcome.gpu_time_is_spent:
        print("the GPU-hour budget is spent; raise budget.gpu_hours and run the same command to go on")
    print(f"next: segsweep report {outcome.run_uri} --out report")
    return 0


def _submit(args: argparse.Namespace) -> int:
    from segsweep.cluster.attend import Order, attend
    from segsweep.config.job import load_job

    job = load_job(args.job, tuple(args.sets))
    _need("ray", "cluster", imported=False)
    _need("aiohttp_cors", "cluster", imported=False)
    wish = next((name for name in ("stop", "logs", "detach") if getattr(args, name)), "follow")
    order = Order(job, args.job, tuple(args.sets), args.cluster, args.address, wish)
    return attend(order, lambda text: print(text, end="", flush=True))


def _status(args: argparse.Namespace) -> int:
    from segsweep.storage.opening import open_store
    from segsweep.sweep.status import read_status

    status = read_status(open_store(args.run))
    print(json.dumps(status.to_json(), indent=1) if args.json else status.to_text())
    return 0


def _report(args: argparse.Namespace) -> int:
    _need("ultralytics", "train", imported=False)
    from segsweep.report.bench import ReportOptions
    from segsweep.report.build import build_report

    facts = build_report(args.run, args.out, cache_dir(), ReportOptions(threads=args.threads))
    print(json.dumps(facts.to_json(), indent=1) if args.json else facts.to_text())
    print(f"open {args.out / 'index.html'}", file=sys.stderr)
    return 0


def _export(args: argparse.Namespace) -> int:
    _need("ultralytics", "train", imported=False)
    from segsweep.core.selection import Choice
    from segsweep.deploy.package import export_choice
    from segsweep.report.bench import ReportOptions

    choice = Choice(trial_id=args.trial, variant=args.variant, max_latency_ms=args.max_latency_ms)
    package = export_choice(args.run, args.out, choice, cache_dir(), ReportOptions(threads=args.threads))
    print(json.dumps(package.to_json(), indent=1) if args.json else package.to_text())
    return 0


def _predict(args: argparse.Namespace) -> int:
    _need("onnxruntime", "edge", imported=False)
    from segsweep.deploy.predict import PredictOptions, predict

    classes = None if args.classes is None else tuple(name.strip() for name in args.classes.split(","))
    options = PredictOptions(args.conf, args.iou, classes, args.threads, args.crops)

    def warn(text: str) -> None:
        print(f"segsweep predict: {text}", file=sys.stderr)

    done = predict(args.model, args.images, args.out, options, _counter("predicting"), warn)
    print(json.dumps(done.to_json(), indent=1) if args.json else done.to_text())
    return DatasetError.exit_code if done.broken else 0


def _replay(args: argparse.Namespace) -> int:
    _need("ultralytics", "train", imported=False)
    from segsweep.errors import ConfigError
    from segsweep.sweep.replay import replay

    if args.epochs is not None and args.epochs < 1:
        raise ConfigError(Problem("--epochs", "must be at least 1", value=str(args.epochs)))

    def show(row: Mapping[str, float], recorded: Mapping[str, float] | None) -> None:
        then = "nothing recorded" if recorded is None else f"recorded {recorded['mask_map50_95']:.4f}"
        text = f"epoch {row['epoch']:.0f}: mask mAP50-95 {row['mask_map50_95']:.4f}, {then}, {row['seconds']:.1f} s"
        print(text, file=sys.stderr, flush=True)

    found = replay(args.run, args.trial, cache_dir(), args.epochs, show)
    print(json.dumps(found.to_json(), indent=1) if args.json else found.to_text())
    return 0 if found.is_reproduced else RunError.exit_code


def _video(args: argparse.Namespace) -> int:
    _need("onnxruntime", "edge")
    from segsweep.deploy.video import VideoOptions, make_film
    from segsweep.deploy.watching import ProgressLine

    classes = tuple(name.strip() for name in args.classes.split(",")) if args.classes is not None else ()
    options = VideoOptions(args.conf, classes, args.threads, args.frames, args.show)
    with ProgressLine(sys.stderr) as progress:
        facts = make_film(args.model, args.source, args.out, options, progress)
    print(json.dumps(facts.to_json(), indent=1) if args.json else facts.to_text())
    return 0


def _counter(verb: str) -> Callable[[int, int], None]:
    """Progress of counted work on one line of stderr; silent where nobody watches."""

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{verb} {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show


def _need(module: str, extra: str, imported: bool = True) -> None:
    """Fail in words where an optional dependency is missing."""
    from importlib import import_module
    from importlib.util import find_spec

    if find_spec(module) is None:
        fix = f"pip install 'segsweep[{extra}]'"
        raise MissingExtraError(Problem(f"the module {module}", "is not installed", fix=fix))
    if imported:
        import_module(module)
