"""An augmentation file's shape, read without albumentations: right as a whole, or every mistake told."""

import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from examples import quick
from segsweep.config.augmentation import (
    TransformSpec,
    dimension_of,
    is_dimension,
    job_clashes,
    load_augmentation_file,
    parse_augmentation,
)
from segsweep.errors import ConfigError

FLIP = {"HorizontalFlip": {"p": 0.5}}
NOISE = {"GaussNoise": {"std_range": [0.1, 0.2], "p": 0.3}}


def told(caught):
    return str(caught.value).splitlines()


def test_a_file_is_read_as_it_is_spelled(tmp_path):
    data = {"offline": {"copies": 2, "transforms": [FLIP, NOISE]}, "online": [NOISE]}
    (tmp_path / "augment.yaml").write_text(yaml.safe_dump(data))
    found = load_augmentation_file(tmp_path / "augment.yaml")
    assert (found.offline.copies, [spec.name for spec in found.online]) == (2, ["GaussNoise"])
    assert found.to_flat() == data


@pytest.mark.parametrize("entry", ["HorizontalFlip", {"HorizontalFlip": None}, {"HorizontalFlip": {}}])
def test_a_transform_without_parameters_needs_none(entry):
    assert parse_augmentation({"online": [entry]}, "f").online == (TransformSpec(name="HorizontalFlip", params={}),)


names = st.text("abcXYZ_", min_size=1, max_size=8)
specs = st.lists(st.builds(lambda n, p: {n: p}, names, st.dictionaries(names, st.integers() | st.booleans())))


@quick
@given(specs, specs)
def test_a_file_survives_being_written_down(offline, online):
    data = {"offline": {"copies": int(bool(offline)), "transforms": offline}, "online": online}
    if offline or online:
        assert parse_augmentation(parse_augmentation(data, "f").to_flat(), "f").to_flat() == data


def test_every_mistake_of_a_file_is_told_at_once():
    data = {
        "offline": {"copies": -1, "transforms": [{"A": {}, "B": {}}], "copy": 2},
        "online": ["Blur", 3, {"Flip": [1]}, {"Blur": {7: 1}}],
        "onlin": [],
    }
    with pytest.raises(ConfigError) as caught:
        parse_augmentation(data, "f.yaml")
    one = "must be one transform with its parameters, e.g. HorizontalFlip: {p: 0.5}"
    assert told(caught) == [
        f"f.yaml: offline.transforms[0] = {{'A': {{}}, 'B': {{}}}}: {one}",
        f"f.yaml: online[1] = 3: {one}",
        f"f.yaml: online[2] = {{'Flip': [1]}}: {one}",
        "f.yaml: online[3].Blur = 7: a parameter's name must be text",
        "f.yaml: offline.copies = -1: must be greater than or equal to 0",
        "f.yaml: offline.copy = 2: unknown key (did you mean copies?)",
        "f.yaml: onlin = []: unknown key (did you mean online?)",
    ]


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        ({}, "names no transform at all"),
        ({"online": []}, "names no transform at all"),
        ({"online": FLIP}, "must be a list of transforms"),
        ({"offline": [FLIP]}, "must be a mapping of names to values"),
        ({"offline": {"copies": 2}, "online": [FLIP]}, "copies without transforms would be duplicates"),
        ({"offline": {"copies": True, "transforms": [FLIP]}}, "must be a valid integer"),
    ],
)
def test_what_makes_no_sense_is_refused(data, rule):
    with pytest.raises(ConfigError, match=rule):
        parse_augmentation(data, "f")


def test_a_trials_values_replace_the_files_and_nothing_else():
    file = parse_augmentation({"online": [FLIP, NOISE]}, "f")
    changed = file.online_with({"augment.GaussNoise.p": 0.9, "augment.HorizontalFlip.limit": 3, "lr0": 0.1})
    assert [spec.to_flat() for spec in changed] == [FLIP, {"GaussNoise": {"std_range": [0.1, 0.2], "p": 0.9}}]
    assert [spec.to_flat() for spec in file.online] == [FLIP, NOISE]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("augment.GaussNoise.p", ""),
        ("augment.Blur.p", "the job's augment file has no online transform Blur; it has HorizontalFlip, GaussNoise"),
        ("augment.GaussNoise.std_range", "must give GaussNoise one value for std_range"),
        ("augment.GaussNoise.mean", "must give GaussNoise one value for mean"),
        ("augment.HorizontalFlip.p", "names HorizontalFlip 2 times"),
    ],
)
def test_a_dimension_means_one_parameter_that_the_file_gives_a_value(name, rule):
    file = parse_augmentation({"online": [FLIP, NOISE, FLIP]}, "f")
    assert rule in file.dimension_rule(name)
    assert bool(rule) == bool(file.dimension_rule(name))
    assert file.default_of("augment.GaussNoise.p") == 0.3


def test_a_dimension_names_a_transform_and_a_parameter():
    assert is_dimension("augment.GaussNoise.p")
    assert not any(map(is_dimension, ("lr0", "augment", 3)))
    assert dimension_of("augment.GaussNoise.p") == ("GaussNoise", "p")


def test_a_job_needs_online_transforms_and_a_file_for_its_dimensions():
    offline = parse_augmentation({"offline": {"copies": 1, "transforms": [FLIP]}}, "f")
    rules = [problem.rule for problem in job_clashes(offline, "f.yaml", ["lr0"], "job.yaml")]
    assert rules == ["has no online transforms, and a job takes only those"]
    (problem,) = job_clashes(None, "", ["lr0", "augment.Blur.p"], "job.yaml")
    assert str(problem) == (
        "job.yaml: search_space.augment.Blur.p: is a parameter of a transform, and the job names no augment file"
    )


def test_the_shape_of_a_file_needs_no_albumentations():
    import subprocess

    code = "import sys, segsweep.config.job; sys.exit('albumentations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=20).returncode == 0


def test_the_documents_example_is_a_file():
    text = (Path(__file__).parents[3] / "docs" / "augmentation.md").read_text()
    example = text.partition("```yaml\n")[2].partition("```")[0]
    found = parse_augmentation(yaml.safe_load(example), "docs")
    assert (found.offline.copies, len(found.online)) == (2, 2)
