"""Ray's Prometheus endpoint shows the sweep, and the dashboard asks for nothing that is not shown."""

import json
import re
import socket
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
import ray
from ray.dashboard.modules.reporter import reporter_agent

from examples import a_job, a_trial, an_ended_trial
from segsweep.core.allowance import Allowance
from segsweep.core.ledger import Ledger
from segsweep.core.trials import Status
from segsweep.sweep import gauges
from segsweep.sweep.gauges import Gauges
from segsweep.sweep.occupancy import Occupancy

DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana.json"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.slow(reason="starts Ray, whose endpoint is seconds late")
@pytest.mark.timeout(120)
def test_the_endpoint_shows_trials_best_hours_and_losses():
    port = free_port()
    ray.init(
        num_cpus=1, include_dashboard=False, object_store_memory=80 * 2**20, log_to_driver=False,
        _metrics_export_port=port,
    )  # fmt: skip
    try:
        ledger = Ledger(
            a_job().job.horizon,
            [
                an_ended_trial(
                    1, "n", {9: 0.5}, status=Status.COMPLETED, mask_map50_95=0.5, gpu_seconds=1800.0, preemptions=2
                ),
                a_trial(2, "s", status=Status.RUNNING, mask_map50_95=0.25, epoch=3),
            ],
        )
        occupancy = Occupancy(ledger, Allowance(8, None), 4)
        occupancy.held_s, occupancy.idle_s = 30.0, 10.0
        Gauges("cats", ledger, occupancy).show()
        until, found = time.monotonic() + 60, {}
        while "ray_segsweep_trial_mask_map50_95" not in {name for name, _ in found} and time.monotonic() < until:
            time.sleep(0.5)
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                found = _of_ours(answer.read().decode())
    finally:
        ray.shutdown()
    assert found["ray_segsweep_trials", "COMPLETED"] == found["ray_segsweep_trials", "RUNNING"] == 1
    assert found["ray_segsweep_trials", "FAILED"] == 0
    assert found["ray_segsweep_epochs", ""] == 12
    assert found["ray_segsweep_gpu_hours", ""] == 0.5
    assert found["ray_segsweep_preemptions", ""] == 2
    assert found["ray_segsweep_idle_share", ""] == 0.25
    assert found["ray_segsweep_best_mask_map50_95", "n"] == 0.5
    assert found["ray_segsweep_trial_mask_map50_95", "t0002"] == 0.25


def _of_ours(text):
    found = {}
    for line in text.splitlines():
        if line.startswith("ray_segsweep"):
            name, labels, value = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line).groups()
            assert 'run="cats"' in labels
            tag = re.search(r'(?:status|trial)="(\w+)"', labels) or re.search(r'variant="(\w+)"', labels)
            found[name, tag[1] if tag else ""] = float(value)
    return found


def test_the_dashboard_draws_what_is_shown_and_all_of_ours():
    board = json.loads(DASHBOARD.read_text())
    asked = set(re.findall(r"\bray_\w+", DASHBOARD.read_text()))
    ours = {f"ray_{name}" for name in re.findall(r'Gauge\("(\w+)"', Path(gauges.__file__).read_text())}
    rays = {f"ray_{name}" for name in re.findall(r'"(node_\w+)"', Path(reporter_agent.__file__).read_text())}
    assert ours <= asked <= ours | rays
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places)
