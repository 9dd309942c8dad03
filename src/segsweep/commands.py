"""What each command does: calls one function and prints. Its imports wait until it runs."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from segsweep.errors import DatasetError, MissingExtraError, Problem, RunError


def cache_dir() -> Path:
    """This node's cache: `$SEGSWEEP_CACHE`, else `~/.cache/segsweep`."""
    return Path(os.environ.get("SEGSWEEP_CACHE") or Path.home() / ".cache" / "segsweep").expanduser().absolute()


def cluster(args: argparse.Namespace) -> int:
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


def sample(args: argparse.Namespace) -> int:
    from segsweep.dataset.sample.synthetic import write_sample

    write_sample(args.dir, args.format, args.images, args.seed, args.imgsz)
    print(f"{args.dir}: {args.images} images in {args.format} format")
    return 0


def prepare(args: argparse.Namespace) -> int:
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


def inspect(args: argparse.Namespace) -> int:
    from segsweep.dataset.inspect import inspect
    from segsweep.dataset.inspection.text import to_text

    facts = inspect(args.src, args.format, args.html, progress=_counter("inspected"))
    print(json.dumps(facts.to_json(), indent=1) if args.json else to_text(facts))
    if args.html:
        print(f"open {args.html}", file=sys.stderr)
    return 0


def convert(args: argparse.Namespace) -> int:
    from segsweep.dataset.convert import Source, convert

    source = Source(args.src, args.source, _names(args.classes))
    conversion = convert(source, args.to, args.format, _counter("written and measured"))
    print(json.dumps(conversion.to_json(), indent=1) if args.json else conversion.to_text())
    return 0


def check(args: argparse.Namespace) -> int:
    from segsweep.config.job import load_job
    from segsweep.dataset.augmentation.augment import judge

    job = load_job(args.job, tuple(args.sets), judge)
    _need("ray", "train")
    from segsweep.sweep.check import check

    if args.cluster is None:
        facts = check(job, str(args.job))
        print(json.dumps(facts.to_json(), indent=1) if args.json else facts.to_text())
        return 0
    from segsweep.cluster.capacity import plan
    from segsweep.errors import ConfigError

    try:
        facts = check(job, str(args.job), is_here=False)
    except ConfigError as exc:
        try:  # how it fits is told all the same
            found = plan(job.job, str(args.job), args.cluster, None)
        except ConfigError as other:
            raise ConfigError([*exc.problems, *other.problems]) from exc
        if not args.json:
            print(found.to_text())
        raise
    found = plan(job.job, str(args.job), args.cluster, facts.manifest.splits["train"].images)
    if args.json:
        print(json.dumps({**facts.to_json(), "cluster": found.to_json()}, indent=1))
    else:
        print(facts.to_text(), found.to_text(), sep="\n\n")
    return 0


def sweep(args: argparse.Namespace) -> int:
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
        print("the budget for GPUs is spent; raise budget.gpu_hours or budget.usd and run the same command to go on")
    print(f"next: segsweep report {outcome.run_uri} --out report")
    return 0


def submit(args: argparse.Namespace) -> int:
    from segsweep.cluster.attend import Order, attend
    from segsweep.config.job import load_job

    job = load_job(args.job, tuple(args.sets))
    _need("ray", "cluster", imported=False)
    _need("aiohttp_cors", "cluster", imported=False)
    wish = next((name for name in ("stop", "logs", "detach") if getattr(args, name)), "follow")
    order = Order(job, args.job, tuple(args.sets), args.cluster, args.address, wish)
    return attend(order, lambda text: print(text, end="", flush=True))


def status(args: argparse.Namespace) -> int:
    from segsweep.storage.opening import open_store
    from segsweep.sweep.status import read_status

    status = read_status(open_store(args.run))
    print(json.dumps(status.to_json(), indent=1) if args.json else status.to_text())
    return 0


def report(args: argparse.Namespace) -> int:
    _need("ultralytics", "train", imported=False)
    from segsweep.report.bench import ReportOptions
    from segsweep.report.build import build_report

    options = ReportOptions(threads=args.threads, precisions=_precisions(args))
    facts = build_report(args.run, args.out, cache_dir(), options)
    print(json.dumps(facts.to_json(), indent=1) if args.json else facts.to_text())
    print(f"open {args.out / 'index.html'}", file=sys.stderr)
    return 0


def export(args: argparse.Namespace) -> int:
    _need("ultralytics", "train", imported=False)
    from segsweep.core.selection import Choice
    from segsweep.deploy.package import Wanted, export_choice
    from segsweep.inference.forms import wanted_forms
    from segsweep.report.bench import ReportOptions

    choice = Choice(trial_id=args.trial, variant=args.variant, max_latency_ms=args.max_latency_ms)
    wanted = Wanted(choice, wanted_forms(_precisions(args), dynamic=args.dynamic, nms=args.nms))
    package = export_choice(args.run, args.out, wanted, cache_dir(), ReportOptions(threads=args.threads))
    print(json.dumps(package.to_json(), indent=1) if args.json else package.to_text())
    return 0


def evaluate(args: argparse.Namespace) -> int:
    _need("ultralytics", "train", imported=False)
    from segsweep.dataset.bundles.naming import resolve_bundle
    from segsweep.deploy.classes import parse_classes
    from segsweep.deploy.evaluate import EvaluateOptions, evaluate_models
    from segsweep.deploy.named_models import exported_models
    from segsweep.report.build import Tools
    from segsweep.storage import layout

    classes = parse_classes(args.classes)
    copy = Tools().stage(resolve_bundle(args.data), cache_dir())
    imgsz = copy.manifest.imgsz if args.imgsz is None else args.imgsz
    models = exported_models(args.models, imgsz, cache_dir(), lambda text: print(text, file=sys.stderr))
    named = {"--data": args.data, "--split": args.split, "--imgsz": imgsz, "--resamples": args.resamples}
    named |= {"--classes": args.classes} if classes else {}
    named |= {"--cityscapes": args.cityscapes} if args.cityscapes else {}
    words = [*args.models, *(str(word) for pair in named.items() for word in pair), "--out", "DIR"]
    command = shlex.join(["segsweep", "evaluate", *words])
    options = EvaluateOptions(
        args.split, args.threads, args.resamples, classes=classes, cityscapes=args.cityscapes, command=command
    )
    done = evaluate_models(models, copy, args.out, options, _counter("predicting"))
    print(json.dumps(done.to_json(), indent=1) if args.json else done.to_text())
    if args.out is not None:
        print(f"page: {args.out / layout.EVALUATION_PAGE}", file=sys.stderr)
    return 0


def predict(args: argparse.Namespace) -> int:
    _need("onnxruntime", "edge", imported=False)
    from segsweep.deploy.predict import PredictOptions, predict

    options = PredictOptions(args.conf, args.iou, _names(args.classes), args.threads, args.crops)

    def warn(text: str) -> None:
        print(f"segsweep predict: {text}", file=sys.stderr)

    done = predict(args.model, args.images, args.out, options, _counter("predicting"), warn)
    print(json.dumps(done.to_json(), indent=1) if args.json else done.to_text())
    return DatasetError.exit_code if done.broken else 0


def compare(args: argparse.Namespace) -> int:
    from segsweep.deploy.compare import CompareOptions, compare
    from segsweep.errors import ReportError

    options = CompareOptions(_names(args.threads), args.rounds, args.conf, args.reference, cache_dir())

    def say(text: str) -> None:
        print(f"segsweep compare: {text}", file=sys.stderr, flush=True)

    done = compare(args.models, [args.images], args.out, options, say)
    print(json.dumps(done.to_json(), indent=1) if args.json else done.to_text())
    return ReportError.exit_code if done.failed else DatasetError.exit_code if done.broken else 0


def replay(args: argparse.Namespace) -> int:
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


def video(args: argparse.Namespace) -> int:
    _need("onnxruntime", "edge")
    from segsweep.deploy.video import VideoOptions, make_film
    from segsweep.deploy.watching import ProgressLine

    options = VideoOptions(args.conf, _names(args.classes), args.threads, args.frames, args.show)
    with ProgressLine(sys.stderr) as progress:
        facts = make_film(args.model, args.source, args.out, options, progress)
    print(json.dumps(facts.to_json(), indent=1) if args.json else facts.to_text())
    return 0


def app(args: argparse.Namespace) -> int:
    _need("onnxruntime", "app", imported=False)
    _need("gradio", "app", imported=False)
    _need("av", "app", imported=False)
    from segsweep.deploy.app_offer import make_offer
    from segsweep.deploy.model_file import is_run

    if any(is_run(name) for name in args.models):
        _need("ultralytics", "train", imported=False)
    offer = make_offer(args.models, args.examples, cache_dir())
    if args.space is not None:
        from segsweep.deploy.space import write_space

        space = write_space(offer, args.space)
        print(json.dumps(space.to_json(), indent=1) if args.json else space.to_text())
        return 0
    from segsweep.deploy.app_server import Serving, serve

    serving = Serving(args.host, args.port, args.threads)
    if not serving.is_local:
        told = "everybody who reaches this machine can open the page and upload files; there is no password"
        print(f"segsweep app: {args.host} is not this machine alone: {told}", file=sys.stderr, flush=True)

    def ready(url: str) -> None:
        facts = {"url": url, "is_local": serving.is_local, "models": [model.label for model in offer.models]}
        reach = "from this machine alone" if serving.is_local else "from other machines, too"
        print(json.dumps(facts) if args.json else f"open {url} ({reach}); Ctrl-C ends it", flush=True)

    serve(offer, serving, ready)
    return 0


def _precisions(args: argparse.Namespace) -> tuple[str, ...]:
    return _names(",".join(args.precision or ["fp32"]))


def _names(listed: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",")) if listed is not None else ()


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
