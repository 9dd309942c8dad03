"""The front of a run as the picker of the demo page offers it: accuracy and latency beside each name."""

from __future__ import annotations

from pathlib import Path

from segsweep.deploy.app_models import Offer, Offered
from segsweep.report.build import Tools, open_study
from segsweep.report.facts import Finalist

_EXAMPLES = 6


def offer_run(run_uri: str, cache_dir: Path, tools: Tools | None = None) -> Offer:
    """The models of a run's front, fastest first, the knee chosen, with test images to try.

    What a report or an export on this node has measured or exported is used again; what is missing is done now, and
    kept: the first time takes as long as a report.

    Args:
        run_uri: `<storage>/<name>` of the job.
        cache_dir: The node's cache.
        tools: What measures.

    Raises:
        ReportError: No trial was trained to the end, or a measurement failed.
        ExportError: A model cannot be exported.
        RunError, DatasetError, StorageError: The run cannot be used.
    """
    study = open_study(run_uri, cache_dir, tools=tools)
    facts = study.facts()
    labels = {finalist.trial_id: _label(finalist) for finalist in facts.front}
    models = tuple(Offered(labels[one.trial_id], one.judged.exported.path) for one in facts.front)
    first = labels.get(facts.knee or "", models[0].label)
    return Offer(models, first, tuple(study.bench.test_images()[:_EXAMPLES]))


def _label(finalist: Finalist) -> str:
    accuracy, latency = finalist.judged.test.mask_map50_95, finalist.judged.latency.total
    return f"{finalist.variant} · mAP50-95 {accuracy:.3f} · {latency.p50:.1f} ms · {finalist.trial_id}"
