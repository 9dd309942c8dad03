from __future__ import annotations

import cv2
import numpy as np
import pytest

from films import write_cat_model
from segsweep.deploy import app_front
from segsweep.deploy.app_models import Offer, Offered
from segsweep.deploy.app_offer import MAX_EXAMPLES, make_offer
from segsweep.errors import ConfigError


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(MAX_EXAMPLES + 1):
        cv2.imwrite(str(folder / f"{number:02}.jpg"), np.zeros((20, 20, 3), np.uint8))
    return folder


def test_a_file_is_offered_without_examples(tmp_path):
    model = write_cat_model(tmp_path / "cat.onnx")
    assert make_offer([str(model)], [], tmp_path) == Offer((Offered("cat", model),), "cat", ())


def test_examples_are_those_that_are_named_and_not_too_many(tmp_path, photos):
    model = str(write_cat_model(tmp_path / "cat.onnx"))
    (photos / "00.jpg").unlink()
    assert make_offer([model], [str(photos)], tmp_path).examples == tuple(sorted(photos.iterdir()))
    cv2.imwrite(str(photos / "00.jpg"), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(ConfigError, match="--examples: 13: must be at most 12 images"):
        make_offer([model], [str(photos)], tmp_path)


def test_runs_and_files_stay_in_order_the_first_one_says_what_is_chosen_and_labels_differ(
    tmp_path, photos, monkeypatch
):
    model = write_cat_model(tmp_path / "s.onnx")
    images = tuple(sorted(photos.iterdir()))[:3]
    front = Offer((Offered("n", model), Offered("s", model)), "s", images)
    monkeypatch.setattr(app_front, "offer_run", lambda uri, cache_dir: front)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    offer = make_offer([str(tmp_path / "run"), str(model), "s3://bucket/run"], [], tmp_path)
    assert [one.label for one in offer.models] == ["n", "s", "s-2", "n-2", "s-3"]
    assert offer.first == "s"
    assert offer.examples == (*images, *images)
    assert make_offer([str(model), "s3://bucket/run"], [str(images[0])], tmp_path).examples == images[:1]


def test_a_wrong_file_is_told_before_a_run_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(app_front, "offer_run", lambda uri, cache_dir: pytest.fail("measured"))
    with pytest.raises(ConfigError, match="does not exist"):
        make_offer(["s3://bucket/run", str(tmp_path / "none.onnx")], [], tmp_path)
