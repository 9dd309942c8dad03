"""How a job fits a cluster file, and what it would cost there."""

from pathlib import Path

import pytest

from examples import a_job
from segsweep.cluster.capacity import plan
from segsweep.cluster.machines import MACHINES, SPOT_SHARE
from segsweep.config.job import load_job
from segsweep.errors import ConfigError

REPO = Path(__file__).parents[3]
SHIPPED = REPO / "cluster.yaml"
FULL = {"gpus": 1, "cpus": 8}


def planned(images=1000, path=SHIPPED, **changes):
    job = {"variants": ["n", "x"], "resources": {"n": {"gpus": 0.25, "cpus": 3}, "x": FULL}, "concurrency": 16}
    return plan(a_job(**{**job, **changes}).job, "job.yaml", path, images)


def edited(tmp_path, *changes):
    text = SHIPPED.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    return path


def test_types_are_in_the_order_in_which_ray_tries_them_and_hold_what_ec2_says():
    found = planned()
    assert [(one.name, one.instance_type, one.is_spot, one.most) for one in found.types] == [
        ("spot.a10g", "g5.12xlarge", True, 4),
        ("spot.l4", "g6.12xlarge", True, 4),
        ("ondemand.a10g", "g5.12xlarge", False, 2),
    ]
    for one in found.types:
        assert (one.gpus, one.cpus) == (MACHINES[one.instance_type].gpus, MACHINES[one.instance_type].cpus)
    assert found.types[0].usd_per_hour == pytest.approx(5.672 * SPOT_SHARE)


def test_trials_at_once_are_counted_on_as_many_machines_as_there_may_be():
    found = planned()
    assert found.packings["spot.a10g"]["n"].trials == 16
    assert (found.at_once("n"), found.at_once("x")) == (64, 16)


def test_where_the_first_type_runs_out_the_next_fills_up(tmp_path):
    path = edited(tmp_path, ("    max_workers: 4\n    priority: 2", "    max_workers: 1\n    priority: 2"))
    two = edited(tmp_path, ("max_workers: 4\n# Trials", "max_workers: 2\n# Trials"))
    assert planned(path=path).at_once("x") == 8
    assert planned(path=two).at_once("x") == 8


def test_the_bill_is_hours_times_the_price_of_a_gpu():
    found = planned()
    for one in found.types:
        bill = found.bills[one.name]
        assert bill.usd == pytest.approx(bill.gpu_hours * one.usd_per_hour / 4)
        assert bill.gpu_hours < bill.worst_gpu_hours
    assert found.bills["ondemand.a10g"].usd == pytest.approx(found.bills["spot.a10g"].usd / SPOT_SHARE)
    assert planned(images=2000).bills["spot.l4"].gpu_hours == pytest.approx(2 * found.bills["spot.l4"].gpu_hours)


def test_a_budget_of_hours_bounds_the_bill():
    budget = {"trials": 1000, "max_epochs": 300, "gpu_hours": 2.0}
    assert planned(images=10**6, budget=budget).bills["spot.a10g"].worst_gpu_hours == 2.0


def test_without_a_dataset_there_is_no_bill_and_fit_is_told():
    found = planned(images=None)
    assert found.bills == {}
    assert "g5.12xlarge, about 2.55 USD an hour\n" in found.to_text()


def test_a_size_that_fits_no_machine_is_refused():
    with pytest.raises(ConfigError, match=r"job.yaml: resources.x = 1 GPUs, 64 CPUs: fits no machine of "):
        planned(resources={"x": {"gpus": 1, "cpus": 64}})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"resources": {"n": {"gpus": 0.4, "cpus": 1}, "x": FULL}},
            "n, 0.8 of 4 GPUs lie idle: 0.4 does not divide",
        ),
        (
            {"resources": {"n": {"gpus": 0.25, "cpus": 4}, "x": FULL}},
            "n, 1 of 4 GPUs lie idle: for want of CPUs",
        ),
        (
            {"resources": {"n": {"gpus": 3, "cpus": 8}, "x": FULL}},
            "n, 1 of 4 GPUs lie idle: 3 does not divide 4 GPUs",
        ),
        ({"resources": {"x": {"gpus": 0.25, "cpus": 3}}}, "a trial of x needs about"),
        ({"concurrency": None}, "concurrency is not set: a sweep runs as many trials as fit on what is there"),
        ({"concurrency": 3}, "concurrency is 3, and the cluster holds 16 trials"),
    ],
)
def test_what_is_paid_for_and_not_used_is_told(changes, told):
    assert not any(told in line for line in planned().warnings)
    assert any(told in line for line in planned(**changes).warnings)


def test_a_type_that_a_size_never_runs_on_is_told(tmp_path):
    path = edited(tmp_path, ("InstanceType: g6.12xlarge", "InstanceType: g6.xlarge"))
    path.write_text(path.read_text().replace("resources: {CPU: 48, GPU: 4}", "resources: {CPU: 4, GPU: 1}"))
    found = plan(a_job(variants=["n"], resources={"n": {"gpus": 1, "cpus": 4}}).job, "job.yaml", path, None)
    assert found.at_once("n") == 4
    with pytest.raises(ConfigError, match="fits no machine"):
        planned(path=path)


def test_a_head_that_trials_may_run_on_is_told(tmp_path):
    path = edited(tmp_path, ("resources: {CPU: 0, GPU: 0}", "resources: {CPU: 2, GPU: 0}"))
    assert any("the head gives its CPUs away" in line for line in planned(path=path).warnings)
    assert not any("the head" in line for line in planned().warnings)


def test_machines_of_one_s_own_are_asked_on_the_head():
    with pytest.raises(ConfigError, match="does not say what its machines hold"):
        planned(path=REPO / "cluster-onprem.yaml")


def test_the_shipped_job_for_cityscapes_leaves_no_gpu_of_the_shipped_cluster_idle():
    job = load_job(REPO / "jobs" / "cityscapes.yaml", ())
    found = plan(job.job, "jobs/cityscapes.yaml", SHIPPED, 2500)
    assert [line for line in found.warnings if "idle" in line or "memory" in line] == []


def test_facts_are_json_with_the_date_of_their_prices():
    facts = planned().to_json()
    assert facts["prices_as_of"] == "November 2026"
    assert facts["sizes"]["x"]["trials_at_once"] == 16
    assert facts["types"][0]["bill"]["usd"] > 0
