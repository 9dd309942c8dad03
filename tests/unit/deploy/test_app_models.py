from __future__ import annotations

import threading

import numpy as np
import pytest

from films import write_cat_model
from segsweep.deploy.app_models import Shelf, offer_files
from segsweep.errors import ConfigError


def test_files_and_folders_are_offered_by_name_and_told_apart(tmp_path):
    (tmp_path / "cats").mkdir()
    (tmp_path / "more").mkdir()
    paths = [
        write_cat_model(path)
        for path in (tmp_path / "cats" / "model.onnx", tmp_path / "n.onnx", tmp_path / "more" / "n.onnx")
    ]
    offered = offer_files([str(tmp_path / "cats"), str(paths[1]), str(paths[2])])
    assert [(model.label, model.path) for model in offered] == list(zip(["cats", "n", "n-2"], paths, strict=True))


def test_everything_that_is_no_model_is_told_at_once(tmp_path):
    (tmp_path / "a.pt").touch()
    with pytest.raises(ConfigError) as told:
        offer_files([str(tmp_path / "a.pt"), str(tmp_path / "none.onnx")])
    assert len(told.value.problems) == 2
    for name in ("b.onnx", "c.onnx"):
        (tmp_path / name).write_bytes(b"text")
    with pytest.raises(ConfigError) as told:
        Shelf(offer_files([str(tmp_path / "b.onnx"), str(tmp_path / "c.onnx")]), 1)
    assert [problem.where.rpartition("/")[2] for problem in told.value.problems] == ["b.onnx", "c.onnx"]


@pytest.fixture
def shelf(tmp_path):
    return Shelf(offer_files([str(write_cat_model(tmp_path / "cat.onnx"))]), 1)


IMAGE = np.full((64, 96, 3), 90, np.uint8)


def test_a_shelf_knows_its_models(shelf, tmp_path):
    assert shelf.labels == ("cat",)
    assert shelf.path("cat") == tmp_path / "cat.onnx"
    assert shelf.classes("cat") == ("cat", "dog")


@pytest.mark.parametrize(
    ("conf", "classes", "count"),
    [(0.45, [], 1), (0.95, [], 0), (0.45, ["cat"], 1), (0.45, ["dog"], 0), (0.45, ["0"], 1)],
)
def test_every_visitor_gets_what_they_wish_for(shelf, conf, classes, count):
    assert len(shelf.predictor("cat", conf, classes)(IMAGE).masks) == count


def test_one_visitors_wishes_do_not_change_anothers(shelf):
    first = shelf.predictor("cat", 0.45)
    shelf.predictor("cat", 0.95)
    assert len(first(IMAGE).masks) == 1


def test_visitors_at_the_same_time_do_not_share_a_canvas(shelf):
    found = []

    def look() -> None:
        predictor = shelf.predictor("cat", 0.45)
        found.extend(len(predictor(IMAGE).masks) for _ in range(20))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 80
    assert (
        len({id(shelf.predictor("cat", 0.45)._canvas) for _ in range(2)} | {id(shelf._predictors["cat"]._canvas)}) > 1
    )


def test_an_unknown_class_is_told(shelf):
    with pytest.raises(ConfigError, match="must be a class of the model"):
        shelf.predictor("cat", 0.45, ["bird"])
