"""The report as one HTML file: nothing is fetched, everything is inside."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from html import escape

from segsweep.core.markup import definitions, document, section
from segsweep.report.charts import Curves, plotly_js
from segsweep.report.facts import Facts, Finalist
from segsweep.report.markup import size_badge
from segsweep.report.sections import (
    Pictures,
    classes_section,
    curves_section,
    finalists_section,
    front_section,
    gains_section,
    pictures_section,
    precisions_section,
    timing_section,
    trials_section,
)
from segsweep.report.theme import SCRIPT, STYLE


def render_page(facts: Facts, curves: Curves, pictures: Pictures) -> bytes:
    """`index.html`.

    Args:
        facts: What the report says.
        curves: Rows of metrics.csv by trial id.
        pictures: Predictions of finalists by trial id: name and JPEG.
    """
    about = facts.setting
    sections = [
        _header(facts),
        front_section(facts),
        finalists_section(facts),
        precisions_section(facts),
        gains_section(facts),
        timing_section(facts),
        curves_section(facts, curves),
        pictures_section(facts, pictures),
        classes_section(facts),
        trials_section(facts),
        _next(facts),
        section("Conditions", "", definitions(conditions(facts))),
    ]
    body = f"""<main>
{"".join(sections)}
<footer>segsweep {escape(about.version)}, AGPL-3.0. Made {escape(about.created)} from {escape(about.run_uri)}. The same
facts as data: facts.json, front.csv, trials.csv.</footer>
</main>
<script>{SCRIPT}</script>"""
    title = f"{about.run}: accuracy against latency"
    return document(title, STYLE, body, f"<script>{plotly_js()}</script>\n").encode()


def headline(facts: Facts) -> str:
    """What the reader should take away, in a few sentences of HTML."""
    front, finalists = facts.front, facts.finalists
    if len(finalists) == 1:
        said = f"One size was trained to the end, {size_badge(front[0].variant)}: {_figures(front[0])}."
    else:
        knee = next(one for one in front if one.trial_id == facts.knee)
        if len(front) == 1:
            said = f"Of {len(finalists)} sizes, only {size_badge(knee.variant)} is worth having: {_figures(knee)}."
        else:
            said = f"Of {len(finalists)} sizes, {_sizes(front)} are worth having."
            said += f" The knee is {size_badge(knee.variant)}: {_figures(knee)}."
        dominated = tuple(one for one in finalists if not one.on_front)
        if dominated:
            said += f" For {_sizes(dominated)} there is another that is at least as accurate and as fast."
    most = max(finalists, key=lambda one: one.gain_over_default or 0.0)
    if (most.gain_over_default or 0.0) > 0.0:
        gain = f"{most.gain_over_default:.3f}"
        said += f" Searching gained {size_badge(most.variant)} {gain} over the default hyperparameters."
    return said


def conditions(facts: Facts) -> Mapping[str, str]:
    """Under what the figures were taken, as text by topic."""
    protocol, finalists = facts.setting.protocol, facts.finalists
    first, plan, test = finalists[0].judged.latency, protocol["latency"], finalists[0].judged.test
    others = [one.judged.latency.others_cpus for one in finalists]
    busiest = max((cpus for cpus in others if cpus is not None), default=None)
    rounds = {one.variant: one.judged.latency.round_p50_ms for one in finalists}
    return {
        "Device": facts.setting.device,
        "Runtime": (
            f"{first.runtime} {first.runtime_version}, {first.provider}, {finalists[0].judged.exported.precision}, "
            f"batch {first.batch}, {first.threads} pinned thread{'s' if first.threads > 1 else ''}"
        ),
        "Image size": ", ".join(f"{one.variant} {one.judged.exported.imgsz} px" for one in finalists),
        "Latency": (
            f"{_sentence(plan['text'])} Every model ran in {plan['rounds']} fresh processes, taking turns with the "
            f"others; in each, {plan['warmup']} images of warm-up, then at most {plan['samples']} that count. Samples: "
            f"{', '.join(f'{one.variant} {one.judged.latency.samples}' for one in finalists)}. p50 of the single "
            f"rounds: {', '.join(f'{size} {min(p50):.1f} to {max(p50):.1f} ms' for size, p50 in rounds.items())}."
        ),
        "Load": (
            f"Load average {_known(first.load_before)} before and {_known(first.load_after)} after; other processes "
            f"kept at most {_known(busiest)} CPUs busy."
        ),
        "Accuracy": (
            f"{protocol['accuracy']['text']} {test.images} test images, {test.instances} instances, on {test.device}."
        ),
        "Choice": f"{_sentence(protocol['selection'])} The knee is {protocol['knee']}.",
        "Hypervolume": f"{_sentence(protocol['hypervolume'])} The reference point is {protocol['reference_point']}.",
        "Dataset": f"{facts.setting.dataset} (sha256 {facts.setting.dataset_digest})",
    }


def _header(facts: Facts) -> str:
    about = facts.setting
    count = len(about.classes)
    words = f"{len(about.trials)} trials, {count} class{'es' if count > 1 else ''}, timed on {about.device}"
    return (
        f'<p class="eyebrow">segsweep report</p><h1>{escape(about.run)}</h1><p class="note">{escape(words)}</p>'
        f'<p class="lead">{headline(facts)}</p>{_warnings(facts)}'
    )


def _warnings(facts: Facts) -> str:
    told = [f"Size {gap.variant} has no finalist: {gap.reason}." for gap in facts.setting.missing]
    disturbed = [one.variant for one in facts.finalists if not one.judged.latency.is_quiet]
    if disturbed:
        names = ", ".join(disturbed)
        told.append(
            f"Other processes kept the machine busy during the timing of {names}: the latencies may be too high. "
            "The same command times again."
        )
    return "".join(f'<p class="warn">{escape(text)}</p>' for text in told)


def _next(facts: Facts) -> str:
    run = escape(shlex.quote(facts.setting.run_uri))
    limit_ms = facts.front[-1].judged.latency.total.p50
    ways = {
        "the knee": "",
        "the most accurate that is fast enough": f" --max-latency-ms {limit_ms + 1:.0f}",
        "a size of your choice": f" --variant {facts.front[-1].variant}",
    }
    lines = [f'<span class="c"># {why}</span>\nsegsweep export {run} --out model{how}\n' for why, how in ways.items()]
    note = "Writes model.onnx, model.pt, a model card, and the proof that both files say the same."
    commands = "\n".join(lines)
    return section("Ship one", note, f"<pre>{commands}</pre>")


def _sizes(finalists: tuple[Finalist, ...]) -> str:
    return " ".join(size_badge(one.variant) for one in finalists)


def _figures(one: Finalist) -> str:
    accuracy, p50 = one.judged.test.mask_map50_95, one.judged.latency.total.p50
    return f"mask mAP50-95 <b>{accuracy:.3f}</b> on test in <b>{p50:.1f} ms</b> an image"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _known(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
