"""The same predictions before a second judge: faster-coco-eval, whose code shares nothing with ours."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segsweep.errors import MissingExtraError, Problem

NAME = "faster-coco-eval"
_STATS = ("map50_95", "map50", "map75", "map_small", "map_medium", "map_large")


@dataclass(frozen=True)
class SecondOpinion:
    """What COCO calls AP, AP50, AP75, APs, APm and APl: 0-1, None where no object is of that size.

    Small objects have less than 32 x 32 pixels, large ones at least 96 x 96, by the area of the true mask.

    Attributes:
        box: Of boxes, by name.
        mask: Of masks, by name.
    """

    box: Mapping[str, float | None]
    mask: Mapping[str, float | None]


def second_opinion(truth: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> SecondOpinion:
    """Judge COCO results.

    Args:
        truth: A COCO dataset: `images`, `annotations` with compressed runs, `categories`.
        rows: COCO results of the same images.

    Raises:
        MissingExtraError: faster-coco-eval is not installed.
    """
    try:
        library = importlib.import_module("faster_coco_eval")
    except ImportError as exc:
        raise MissingExtraError(
            Problem(NAME, "is needed as second judge", fix="pip install 'segsweep[train]'")
        ) from exc
    if not rows or not truth["annotations"]:  # it stops at either
        empty = dict.fromkeys(_STATS, 0.0 if truth["annotations"] else None)
        return SecondOpinion(empty, empty)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = library.COCO({**truth, "annotations": _copies(truth["annotations"])})
        found = coco.loadRes(_copies(rows))
        box, mask = (_stats(library, coco, found, kind) for kind in ("bbox", "segm"))
    return SecondOpinion(box, mask)


def _copies(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """It writes to what it is given."""
    return [{**row, "segmentation": dict(row["segmentation"])} for row in rows]


def _stats(library: Any, coco: Any, found: Any, kind: str) -> dict[str, float | None]:
    judge = library.COCOeval_faster(coco, found, iouType=kind, print_function=lambda *_: None)
    judge.params.maxDets = [1, 10, 300]  # the last one is what our protocol keeps of an image
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    values = [float(value) for value in judge.stats[: len(_STATS)]]
    return {name: value if value >= 0 else None for name, value in zip(_STATS, values, strict=True)}
