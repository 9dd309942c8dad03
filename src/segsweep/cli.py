"""The `segsweep` command: parse, run one of `commands`, tell what went wrong."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import segsweep
from segsweep import commands
from segsweep.arguments import (
    add_app_arguments,
    add_check_arguments,
    add_compare_arguments,
    add_convert_arguments,
    add_dataset_arguments,
    add_evaluate_arguments,
    add_inspect_arguments,
    add_job_arguments,
    add_predict_arguments,
    add_run_arguments,
    add_submit_arguments,
    add_video_arguments,
)
from segsweep.errors import SegsweepError

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
  segsweep predict build/model build/sample --out build/seen

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
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)

    def add(name: str, function: Callable[[argparse.Namespace], int], text: str, more: str = "") -> Any:
        sub = verbs.add_parser(
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
        add("sample", commands.sample, "write a small learnable raw dataset", "Same seed, same bytes."),
        add(
            "prepare",
            commands.prepare,
            "raw dataset -> bundle: resized, split, sharded, hashed",
            "The bundle is named NAME-DIGEST; the same input and parameters give the same digest.",
        ),
    )
    add_inspect_arguments(
        add(
            "inspect",
            commands.inspect,
            "what is in a raw dataset, what is wrong with it, what training would make of it",
            "Never stops at faults: they are part of the answer.",
        )
    )
    add_convert_arguments(
        add(
            "convert",
            commands.convert,
            "raw dataset -> raw dataset of another format",
            "What was written is read back and compared with the source, object by object.",
        )
    )
    submit = add(
        "submit",
        commands.submit,
        "send a job to a cluster, or come back to it, and follow its log",
        "The job runs on the cluster's head, whatever becomes of this machine. Where its run exists it goes on with "
        "it; where it is at work already, the log is shown and nothing is started. Sent are the job, its space and its "
        "augmentations, a few kilobytes; data, runs and weights lie on S3, or on a disk that all machines mount. "
        "Exits with the sweep's own code.",
    )
    check = add("check", commands.check, "dry run: resolved job, rungs, worst-case cost, does everything fit")
    add_check_arguments(check)
    add_job_arguments(
        check,
        add("sweep", commands.sweep, "start the sweep, or go on with it if its run exists"),
        submit,
    )
    add_submit_arguments(submit)
    add_run_arguments(
        add("status", commands.status, "what is running, done, stopped, failed; best per size; budget left"),
        add("report", commands.report, "evaluate, time and chart the best trial of every size"),
        add(
            "export",
            commands.export,
            "chosen model -> model.onnx, model.pt, model card, parity.json",
            "model.onnx is always fp32 with a fixed input and NMS outside; the model is chosen by its figures. Other "
            "precisions and forms become files beside it, evaluated on test and timed in turns with it. fp16 halves "
            "the file and is for GPUs; int8 is calibrated on train images of the run's bundle and is for CPUs. With "
            "NMS inside, `evaluate` cannot judge a file, and `predict` finds nothing below the confidence in it, 0.05.",
        ),
        add(
            "replay",
            commands.replay,
            "one trial alone, from its record: does it do again what it did",
            "Trains here, without Ray, and compares every epoch with the recorded one: on a CPU all digits must be the "
            "same, on a GPU about. A trial that failed is trained to where it failed. The run is only read.",
        ),
    )
    add_evaluate_arguments(
        add(
            "evaluate",
            commands.evaluate,
            "models or runs on a split of a bundle, by one protocol",
            "Confidence above 0.001, NMS at IoU 0.7, at most 300 objects an image, masks at the image's resolution. "
            "A second evaluator judges the same predictions, and both figures are shown. A model may know other "
            "classes than the bundle, COCO's 80 say: classes of one name are compared, and what is left out is told.",
        )
    )
    add_predict_arguments(
        add(
            "predict",
            commands.predict,
            "images through an exported model: overlays, COCO results, a table",
            "Needs only the extra `edge`. What cannot be read is told, and the rest goes on; the exit code is then 3.",
        )
    )
    add_compare_arguments(
        add(
            "compare",
            commands.compare,
            "models, runtimes and thread counts on the same images: times, memory, agreement",
            "Every configuration takes turns in fresh processes; times are split into read, prepare, forward and "
            "postprocess. A configuration that fails is told, and the rest goes on; the exit code is then 4.",
        )
    )
    add_video_arguments(
        add(
            "video",
            commands.video,
            "a video file, camera or stream through a model: overlay film, measured frames/s",
            "Writes the film, without sound, and stats.json beside it. A file never drops pictures; of a camera or "
            "stream those are dropped that come while the model is busy, and a stream that breaks is opened again. "
            "Ctrl-C ends the film properly.",
        )
    )
    add_app_arguments(
        add(
            "app",
            commands.app,
            "a page in the browser to try models: images, films, a camera",
            "Needs only the extra `app` for models that are files. Listens on this machine alone; what is uploaded is "
            "deleted after half an hour, and when the page ends.",
        )
    )
    cluster = add(
        "cluster",
        commands.cluster,
        "what a cluster needs before `ray up`: checks its file, makes token and, on AWS, roles and security group",
        "Checks the file; makes, or sets right, a security group that lets in you alone, two roles that may touch one "
        "bucket, and the token without which nobody may use the cluster. Doing it again changes nothing; nothing that "
        "somebody else has set is removed. No machine is started.",
    )
    cluster.add_argument("file", type=Path, metavar="FILE", help="the cluster's YAML, e.g. cluster.yaml")
    return parser
