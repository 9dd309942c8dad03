"""Every key and file name, once. Nobody else spells a path of a run, a trial or a bundle."""

from __future__ import annotations

import re
from collections.abc import Mapping

RUN = "run.json"
LOCK = "lock.json"
SESSIONS = "sessions/"
TRIALS = "trials/"
WEIGHTS = "weights/"

TRIAL_RECORD = "trial.json"
TRIAL_ARGUMENTS = "arguments.yaml"
TRIAL_METRICS = "metrics.csv"
TRIAL_EVENTS = "events.out.tfevents.segsweep"
TRIAL_LOG = "log.txt"
TRIAL_BEST = "best.pt"
TRIAL_CHECKPOINTS = "checkpoints/"
TRIAL_CURVES = "curves.png"
TRIAL_PREDICTIONS = "predictions/"
TRIAL_TEST_PREDICTIONS = "test_predictions/"

MANIFEST = "manifest.json"
SHARDS = "shards/"
BUNDLE_CLEANING = "cleaning.csv"
BUNDLE_PAGE = "index.html"

# Inside a node's cache folder: one folder a bundle, beside it the record of every fetch.
NODE_BUNDLES = "bundles"
NODE_DOWNLOADS = "downloads.log"
NODE_DATA_YAML = "data.yaml"
NODE_COMPLETE = "complete.json"
NODE_REPORTS = "reports"
NODE_CHECKPOINTS = "checkpoints"
NODE_REPLAYS = "replays"
NODE_EXPORTS = "exports"

REPORT_PAGE = "index.html"
REPORT_FACTS = "facts.json"
REPORT_FRONT = "front.csv"
REPORT_TRIALS = "trials.csv"
REPORT_PICTURE = "front.png"

PACKAGE_ONNX = "model.onnx"
PACKAGE_WEIGHTS = "model.pt"
PACKAGE_CARD = "README.md"
PACKAGE_PARITY = "parity.json"

EVALUATION_PAGE = "index.html"

VIDEO_STATS = "stats.json"

_NAME_LIMIT = 120


def trial_name(variant: str, params: Mapping[str, object], trial_id: str) -> str:
    """The trial's directory name: variant, hyperparameters, id, e.g. `n-lr0=0.0031-momentum=0.91-t0007`.

    Hyperparameters are cut after 120 characters; `trial.json` inside holds them all.
    """
    words = [f"{name}={_short(value)}" for name, value in sorted(params.items())]
    kept: list[str] = []
    for word in words:
        if len("-".join([variant, *kept, word, trial_id])) > _NAME_LIMIT:
            break
        kept.append(word)
    return "-".join([variant, *kept, trial_id])


def trial_key(directory: str, name: str) -> str:
    """Key of `name` inside the trial's directory, relative to the run."""
    return f"{TRIALS}{directory}/{name}"


def checkpoint_name(epoch: int) -> str:
    """Name of the checkpoint written after `epoch` (1-based) inside the trial's directory."""
    return f"{TRIAL_CHECKPOINTS}epoch-{epoch:04d}.pt"


def checkpoint_epoch(name: str) -> int | None:
    """The epoch of a checkpoint's file, without its folder; None for any other file."""
    found = re.fullmatch(r"epoch-(\d{4})\.pt", name)
    return int(found[1]) if found else None


def node_weights_name(epoch: int) -> str:
    """Name of the weights of an epoch that was the best, on the node where it was trained."""
    return f"best-{epoch:04d}.pt"


def prediction_name(stem: str, split: str = "val") -> str:
    """Name of a prediction picture inside the trial's directory; those of test images lie in a folder of their own."""
    return f"{TRIAL_TEST_PREDICTIONS if split == 'test' else TRIAL_PREDICTIONS}{stem}.jpg"


def package_model(suffix: str) -> str:
    """Name of a model file of the package; the plain one has no suffix."""
    return PACKAGE_ONNX.replace(".", f"{suffix}.")


def weights_key(variant: str, digest: str) -> str:
    """Key of a size's initial weights, copied into the run when it starts and named by their sha256."""
    return f"{WEIGHTS}{digest[:12]}/yolov8{variant}-seg.pt"


def session_key(started: str) -> str:
    """Key of the record of one driver session; `started` is its UTC start as `YYYYmmddTHHMMSSZ`."""
    return f"{SESSIONS}{started}.json"


def shard_key(split: str, index: int) -> str:
    """Key of one tar shard inside a bundle."""
    return f"{SHARDS}{split}-{index:05d}.tar"


def image_key(split: str, stem: str) -> str:
    """Path of an image inside a bundle's shards and a node's copy."""
    return f"images/{split}/{stem}.jpg"


def label_key(split: str, stem: str) -> str:
    """Path of an image's label rows; Ultralytics finds it by putting labels for images."""
    return f"labels/{split}/{stem}.txt"


def bundle_name(name: str, digest: str) -> str:
    """A bundle's directory name: the dataset's name and the first 12 characters of its content digest."""
    return f"{name}-{digest[:12]}"


def _short(value: object) -> str:
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return "".join(c if c.isalnum() or c in "._+" else "_" for c in text)
