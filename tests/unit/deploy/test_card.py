"""The model card."""

from dataclasses import replace

import pytest
import yaml

from fake_run import fake_tools, write_fake_copy
from segsweep.core.selection import Choice
from segsweep.deploy.artefacts import Artefact, Artefacts
from segsweep.deploy.card import CardFacts, render_card
from segsweep.deploy.package import Wanted, export_choice
from segsweep.inference.timings import DEFINITION
from segsweep.report.build import open_study


@pytest.fixture
def facts(places):
    tools = fake_tools(write_fake_copy(places / "copy"))
    study = open_study(str(places / "runs" / "demo"), places / "cache", None, tools)
    record = study.trials[5]
    judged = study.bench.judge([record])[record.trial_id]
    parity = study.bench.parity(record)
    names = study.bench.copy.manifest.classes
    about = (study.info, "/runs/my demo", names, Artefacts((Artefact(judged),)))
    return CardFacts(*about, parity, "the knee of the front", "A Processor, 2 CPUs")


def test_the_front_matter_is_yaml_that_names_the_licence(facts):
    _, front_matter, _ = render_card(facts).split("---\n", 2)
    assert yaml.safe_load(front_matter)["license"] == "agpl-3.0"


def test_figures_come_with_their_conditions(facts):
    card = render_card(facts)
    assert "| masks | 0.4500 | 0.6300 |" in card
    assert "| end to end | 12.00 | 14.40 | 18.00 |" in card
    assert DEFINITION in card
    assert "A Processor, 2 CPUs; onnxruntime 1.31.1" in card
    assert "confidence above 0.001" in card
    assert "mask IoU 0.9990 on average and 0.9900 at worst over 9 instances" in card


def test_it_says_how_to_reproduce(facts):
    card = render_card(facts)
    assert "segsweep replay '/runs/my demo' --trial t0006" in card
    assert facts.judged.exported.sha256 in card
    assert facts.judged.weights_sha256 in card
    assert facts.info.dataset_digest in card
    assert '"lr0": 0.006' in card


def test_a_model_that_found_nothing_has_no_mask_iou(facts):
    card = render_card(replace(facts, parity=replace(facts.parity, mask_iou_mean=None, mask_iou_min=None, instances=0)))
    assert "no instance was found" in card


def test_a_disturbed_timing_is_a_limit(facts):
    latency = replace(facts.judged.latency, others_cpus=1.5)
    disturbed = Artefacts((Artefact(replace(facts.judged, latency=latency)),))
    card = render_card(replace(facts, artefacts=disturbed))
    assert "kept 1.5 CPUs busy" in card


def test_class_names_are_not_markup(facts):
    assert "star \\<b\\>" in render_card(facts)


def test_a_long_list_of_classes_is_cut(facts):
    names = tuple(f"c{index}" for index in range(80))
    assert "c9 and 70 more classes" in render_card(replace(facts, classes=names))


def test_the_default_trial_says_so(places):
    tools = fake_tools(write_fake_copy(places / "copy"))
    wanted = Wanted(Choice(trial_id="t0001"))
    export_choice(str(places / "runs" / "demo"), places / "out", wanted, places / "cache", None, tools)
    assert "Hyperparameters: Ultralytics' defaults" in (places / "out" / "README.md").read_text()
