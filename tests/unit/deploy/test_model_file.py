from __future__ import annotations

from pathlib import Path

import pytest

from segsweep.deploy.model_file import class_indices, find_model
from segsweep.errors import ConfigError


def test_a_file_is_taken_as_it_is_and_a_folder_for_the_model_in_it(tmp_path: Path):
    model = tmp_path / "model.onnx"
    model.touch()
    assert find_model(model) == model
    assert find_model(tmp_path) == model


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone.onnx", "does not exist"),
        ("best.pt", "not a checkpoint.*segsweep export"),
        ("BEST.PT", "not a checkpoint"),
        ("empty", "model.onnx.*does not exist"),
    ],
)
def test_what_is_no_exported_model_is_refused_before_anything_is_opened(tmp_path: Path, name: str, told: str):
    (tmp_path / "best.pt").write_bytes(b"a pickle that must never be loaded")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=told):
        find_model(tmp_path / name)


def test_classes_are_given_by_name_or_index_and_none_means_all():
    assert class_indices(("1", "cat"), ("cat", "dog", "cow")) == {0, 1}
    assert class_indices((), ("cat", "dog")) is None


def test_a_name_that_is_a_number_comes_before_an_index():
    assert class_indices(("1",), ("1", "0")) == {0}


def test_unknown_classes_are_told_with_those_there_are():
    with pytest.raises(ConfigError, match=r"cow: must be a class of the model \(it knows cat, dog\)") as caught:
        class_indices(("cow", "cat", "-1"), ("cat", "dog"))
    assert [problem.value for problem in caught.value.problems] == ["cow", "-1"]
