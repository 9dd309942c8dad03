"""`segsweep compare`: processes in turns, with a runner that carries orders out here, and a few in real ones."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import onnxruntime  # noqa: F401  (as the next one: takes longer than a test may)
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: F401

from planted_model import planted_outputs, write_planted_model
from segsweep import cli
from segsweep.deploy import compare as compare_module
from segsweep.deploy.compare import CompareOptions, compare, run_process
from segsweep.deploy.compare_chart import bars, draw_comparison
from segsweep.deploy.compare_run import LEAST_SAMPLES, Order, carry_out, peak_memory_bytes
from segsweep.deploy.comparison import ProcessRun
from segsweep.errors import ConfigError, MissingExtraError, Problem, ReportError, StorageError

CAT = (32.0, 32.0, 32.0, 16.0, 0, 0.9, 1.0, 0.0)
DOG = (32.0, 10.0, 20.0, 10.0, 1, 0.5, 1.0, 0.0)
FOUND = {"both": [CAT, DOG], "cat": [CAT], "none": []}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: three models, and two images below `shots`. Nothing is drawn: that takes long."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compare_module, "draw_comparison", lambda comparison: b"drawn")
    for name, objects in FOUND.items():
        write_planted_model(Path(f"{name}.onnx"), planted_outputs(objects))
    Path("shots").mkdir()
    for name in ("a", "b"):
        cv2.imwrite(f"shots/{name}.png", np.zeros((64, 64, 3), np.uint8))
    return tmp_path


class Processes:
    """A runner that starts none.

    Attributes:
        orders: Model and threads of what was measured, in turn.
        total_ms: Of every sample, by model, one a round.
        fails: Models whose measuring fails.
        others: CPUs that others keep busy.
        extra: What is found in place of what is there, by turn.
    """

    def __init__(self, **total_ms: list[float]) -> None:
        self.orders: list[tuple[str, int]] = []
        self.total_ms = total_ms
        self.fails: set[str] = set()
        self.others = 0.0
        self.extra: dict[int, str] = {}
        self._known: dict[str, tuple[dict[str, object], str]] = {}

    def __call__(self, order: Order):
        name = Path(order.model).stem
        if not order.images:
            return carry_out(order)
        self.orders.append((name, order.threads))
        if name in self.fails:
            raise ReportError(Problem(order.model, "could not be run", value="exit status -9"))
        if name not in self._known:  # once a model: what it finds is the same each time
            self._known[name] = carry_out(order), Path(order.found).read_text()
        told, found = self._known[name]
        Path(order.found).write_text(found)
        turn = self.orders.count((name, order.threads))
        if turn in self.extra:
            Path(order.found).write_text(self.extra[turn])
        ms = self.total_ms.get(name, [10.0] * turn)[turn - 1]
        planned = {"samples_ms": [(1.0, 2.0, ms - 4.0, 0.5, ms)] * 4, "others_cpus": self.others}
        return told | planned | {"peak_memory_bytes": turn * 10**6}


def options(threads=("1",), rounds=1, conf=0.45, reference=None) -> CompareOptions:
    return CompareOptions(threads, rounds, conf, reference, Path("cache"))


def run(models: str, chosen: CompareOptions | None = None, processes: Processes | None = None, images=("shots",)):
    said: list[str] = []
    paths = [Path(f"{name}.onnx") for name in models.split()]
    done = compare(paths, images, Path("out"), chosen or options(), said.append, processes or Processes())
    return done, said


def test_configurations_take_turns_and_every_other_round_is_reversed(folder):
    processes = Processes()
    run("both cat", options(("2", "1"), rounds=3), processes)
    forward = [("both", 2), ("both", 1), ("cat", 2), ("cat", 1)]
    assert processes.orders == forward + forward[::-1] + forward


def test_rounds_are_pooled_by_stage(folder):
    done, _ = run("both", options(rounds=2), Processes(both=[10.0, 11.0]))
    (one,) = done.measured
    assert [one.ms[name].p50 for name in ("read", "prepare", "forward", "postprocess", "total")] == [
        *(1.0, 2.0, 6.5, 0.5, 10.5)
    ]
    assert (one.samples, one.round_p50_ms, one.peak_memory_bytes) == (8, (10.0, 11.0), 2 * 10**6)
    assert one.size_bytes == Path("both.onnx").stat().st_size
    assert (len(one.load_before), len(one.load_after)) == (2, 2)


@pytest.mark.parametrize(
    ("medians", "flags"),
    [([10.0, 12.0], ()), ([10.0, 12.1], ("unsteady",)), ([12.1, 10.0], ("unsteady",)), ([10.0], ())],
)
def test_rounds_whose_medians_differ_by_more_than_a_fifth_are_flagged(folder, medians, flags):
    done, _ = run("both", options(rounds=len(medians)), Processes(both=medians))
    assert done.measured[0].flags == flags
    assert ("measure again" in done.to_text()) == bool(flags)


def test_a_disturbed_configuration_is_flagged(folder):
    processes = Processes()
    processes.others = 0.3
    assert run("both", processes=processes)[0].measured[0].flags == ("disturbed",)


def test_rounds_that_find_different_objects_are_flagged(folder):
    processes = Processes()
    processes.extra = {2: "[]\n[]\n"}
    assert run("both", options(rounds=2), processes)[0].measured[0].flags == ("unrepeatable",)


def test_agreement_is_that_with_the_reference_over_all_images(folder):
    agreements = [one.agreement for one in run("both cat none")[0].measured]
    assert [(one.reference_objects, one.matched, one.only_reference, one.only_here) for one in agreements] == [
        *((4, 4, 0, 0), (4, 2, 2, 0), (4, 0, 4, 0))
    ]
    assert [(one.matched_share, one.mean_mask_iou) for one in agreements] == [(1.0, 1.0), (0.5, 1.0), (0.0, None)]


def test_a_model_in_half_precision_is_compared_and_told(folder):
    write_planted_model(Path("half.onnx"), planted_outputs([CAT, DOG]), kind=np.float16)
    measured = run("both half")[0].measured
    assert [(one.precision, one.agreement.matched_share) for one in measured] == [("fp32", 1.0), ("fp16", 1.0)]


def test_another_reference_can_be_chosen(folder):
    done, _ = run("both cat", options(reference=Path("cat.onnx")))
    assert [(one.agreement.reference_objects, one.agreement.only_here) for one in done.measured] == [(2, 2), (2, 0)]
    assert done.reference == "cat.onnx"


def test_a_score_must_be_above_conf(folder):
    assert run("both", options(conf=0.6))[0].measured[0].agreement.reference_objects == 2


def test_json_table_and_chart_are_written_and_nothing_else(folder):
    done, _ = run("both cat", options(("1", "2")))
    assert sorted(path.name for path in Path("out").iterdir()) == ["compare.csv", "compare.json", "compare.png"]
    told = json.loads(Path("out/compare.json").read_text())
    assert told == json.loads(json.dumps(done.to_json()))
    assert (told["schema"], told["classes"], told["images"]) == (1, ["cat", "dog"], ["shots/a.png", "shots/b.png"])
    with Path("out/compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["threads"], row["matched_share"]) for row in rows] == [
        *(("both.onnx", "1", "1.0"), ("both.onnx", "2", "1.0"), ("cat.onnx", "1", "0.5"), ("cat.onnx", "2", "0.5"))
    ]
    assert rows[0]["total_p90_ms"] == "10.0"
    assert Path("out/compare.png").read_bytes() == b"drawn"


def test_a_bar_is_the_medians_of_the_stages(folder):
    (bar,) = bars(run("both")[0])
    assert (bar.stages_ms, bar.p50_ms, bar.p90_ms) == ((1.0, 2.0, 6.0, 0.5), 10.0, 10.0)
    assert bar.label == "both.onnx\nonnxruntime, fp32, 64 px, 1 thread"
    assert bar.note == "10.0 ms, 1 MB, 100 % same"


def test_without_matplotlib_there_is_no_chart_and_the_rest_is_written(folder, monkeypatch):
    def refuse(comparison):
        raise MissingExtraError(Problem("matplotlib", "is needed"))

    monkeypatch.setattr(compare_module, "draw_comparison", refuse)
    _, said = run("both")
    assert said[-1] == "compare.png is not drawn: matplotlib: is needed"
    assert sorted(path.name for path in Path("out").iterdir()) == ["compare.csv", "compare.json"]


@pytest.mark.slow(reason="draws")
@pytest.mark.timeout(30)
def test_a_name_with_dollars_is_drawn(folder):
    name = "a$x_$.onnx"
    Path("both.onnx").rename(name)
    done, _ = run(name[:-5])
    png = cv2.imdecode(np.frombuffer(draw_comparison(done), np.uint8), cv2.IMREAD_COLOR)
    assert png is not None
    assert png.shape[1] == 2000


def test_a_configuration_that_fails_is_told_and_the_rest_goes_on(folder):
    processes = Processes()
    processes.fails = {"cat"}
    done, said = run("both cat", options(rounds=2), processes)
    assert [one.model for one in done.measured] == ["both.onnx"]
    assert done.failed == ({"model": "cat.onnx", "threads": 1, "error": "cat.onnx: exit status -9: could not be run"},)
    assert processes.orders.count(("cat", 1)) == 1
    assert "cat.onnx, 1 thread: failed: " in done.to_text()
    assert any(line.startswith("cat.onnx, 1 thread failed: ") for line in said)


def test_where_the_reference_fails_nothing_agrees_with_it(folder):
    processes = Processes()
    processes.fails = {"both"}
    assert run("both cat", processes=processes)[0].measured[0].agreement is None


def test_where_all_fail_nothing_is_written(folder):
    processes = Processes()
    processes.fails = {"both"}
    with pytest.raises(ReportError, match="exit status -9"):
        run("both", processes=processes)
    assert list(Path("out").iterdir()) == []


def test_every_mistake_is_told_at_once(folder):
    Path("bad.onnx").write_bytes(b"junk")
    Path("cow.onnx").write_bytes(
        write_planted_model(Path("cow.onnx"), planted_outputs([CAT]), "{0: 'cat', 1: 'cow'}").read_bytes()
    )
    processes = Processes()
    with pytest.raises(ConfigError) as told:
        run("both both bad cow gone", options(("0", "x"), 0, 2.0, Path("q.onnx")), processes, ("nowhere",))
    assert [(one.where, one.field) for one in told.value.problems] == [
        *(("--threads", ""), ("--conf", ""), ("--rounds", ""), ("--reference", ""), ("both.onnx", "MODEL")),
        *(("gone.onnx", "MODEL"), ("nowhere", "IMAGES"), ("bad.onnx", "")),
    ]
    assert (processes.orders, Path("out").exists()) == ([], False)
    with pytest.raises(ConfigError, match=r"cow.onnx: names = cat, cow: must know the classes of both.onnx, cat, dog"):
        run("both cow")


@pytest.mark.parametrize("threads", [("0",), ("-1",), ("1", "1"), ("",), ("1.5",), ("257",), ("٣",), ()])
def test_threads_that_are_no_counts_are_refused(folder, threads):
    with pytest.raises(ConfigError, match=r"--threads: .*must be whole numbers from 1 to 256"):
        run("both", options(threads))


def test_a_broken_image_is_left_out_and_told(folder):
    Path("shots/text.jpg").write_bytes(b"no picture")
    done, said = run("both")
    assert [one["file_name"] for one in done.broken] == ["shots/text.jpg"]
    assert any("text.jpg" in line for line in said)
    assert done.images == ("shots/a.png", "shots/b.png")
    with pytest.raises(ConfigError, match=r"shots/text.jpg: IMAGES: must hold an image that can be read"):
        run("both", images=("shots/text.jpg",))


def test_a_file_in_place_of_the_folder_is_told_before_anything_is_measured(folder):
    Path("out").write_text("mine")
    processes = Processes()
    with pytest.raises(StorageError, match="out"):
        run("both", processes=processes)
    assert processes.orders == []


def test_a_pattern_that_the_shell_took_apart_is_told(folder, capsys):
    assert cli.main(["compare", "gone.onnx", "shots/a.png", "shots/b.png", "--out", "out"]) == 2
    assert "shots/a.png: MODEL: must be a model, not an image" in capsys.readouterr().err


def test_a_checkpoint_needs_the_extra_train(folder, monkeypatch):
    Path("model.pt").write_bytes(b"anything")
    found = compare_module.importlib.util.find_spec
    monkeypatch.setattr(
        compare_module.importlib.util, "find_spec", lambda name: None if name == "ultralytics" else found(name)
    )
    with pytest.raises(MissingExtraError, match=r"the module ultralytics: is needed to run model.pt"):
        compare([Path("model.pt")], ["shots"], Path("out"), options(), lambda _: None, Processes())


def test_a_process_takes_every_image_and_enough_samples(folder):
    order = Order("both.onnx", 1, 0.45, "cache", ("shots/a.png", "shots/b.png"), "found")
    done = ProcessRun.from_json(json.loads(json.dumps(carry_out(order))))
    assert len(done.samples_ms) == LEAST_SAMPLES
    assert len(Path("found").read_text().splitlines()) == 2
    assert all(min(row) > 0.0 and row[4] >= sum(row[:4]) for row in done.samples_ms)
    assert (done.runtime, done.provider, done.canvas) == ("onnxruntime", "CPUExecutionProvider", (64, 64))
    many = order.images * LEAST_SAMPLES
    assert len(carry_out(Order(*[*asdict(order).values()][:4], many, "found"))["samples_ms"]) == 2 * LEAST_SAMPLES
    assert carry_out(Order("both.onnx", 1, 0.45, "cache")) == {"names": ("cat", "dog")}


def test_peak_memory_is_that_of_the_process_alone(tmp_path):
    (tmp_path / "status").write_text("VmPeak:\t  999 kB\nVmHWM:\t  123 kB\nVmRSS:\t 100 kB\n")
    assert peak_memory_bytes(tmp_path / "status") == 123 * 1024
    assert peak_memory_bytes(tmp_path / "missing") > 10**6


@pytest.mark.slow(reason="starts a process for each model and round")
@pytest.mark.timeout(60)
def test_the_command_in_real_processes(folder, capsys):
    command = ["compare", "both.onnx", "cat.onnx", "shots", "--out", "out", "--threads", "1", "--rounds", "2", "--json"]
    assert cli.main(command) == 0
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert told == json.loads(Path("out/compare.json").read_text())
    assert [one["agreement"]["matched_share"] for one in told["measured"]] == [1.0, 0.5]
    assert [one["samples"] for one in told["measured"]] == [2 * LEAST_SAMPLES] * 2
    assert shown.err.splitlines()[-1] == "segsweep compare: round 2 of 2: both.onnx, 1 thread"


@pytest.mark.slow(reason="starts a process")
@pytest.mark.timeout(60)
def test_a_process_is_pinned_and_tells_what_is_wrong(folder, monkeypatch, tmp_path):
    Path("bad.onnx").write_bytes(b"junk")
    with pytest.raises(ConfigError, match=r"bad.onnx: must be an ONNX model that onnxruntime loads"):
        run_process(Order("bad.onnx", 1, 0.45, "cache"))
    with pytest.raises(ReportError, match=r"both.onnx: .*nowhere.png.*exit status 3: could not be run"):
        run_process(Order("both.onnx", 1, 0.45, "cache", ("nowhere.png",), "found"))
    seen: dict[str, str] = {}
    real = compare_module.subprocess.run

    def spy(command, env, **options):
        seen.update(env)
        return real([*command[:1], "-c", "import sys; sys.exit('first\\nlast')"], env=env, **options)

    monkeypatch.setattr(compare_module.subprocess, "run", spy)
    with pytest.raises(ReportError, match=r"both.onnx: first \| last \| exit status 1: could not be run"):
        run_process(Order("both.onnx", 3, 0.45, "cache"))
    assert [seen[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")] == ["3"] * 3
