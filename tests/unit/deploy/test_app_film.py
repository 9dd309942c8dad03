from __future__ import annotations

import threading

import pytest

from films import write_cat_model, write_film
from segsweep.deploy import app_film
from segsweep.deploy.app_film import Films, Wishes
from segsweep.errors import ConfigError

WISHES = Wishes(0.45, [], 0.5)


def quiet(done: int, total: int | None, dropped: int) -> None:
    pass


@pytest.fixture
def model(tmp_path):
    return write_cat_model(tmp_path / "cat.onnx")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "made").mkdir()
    return tmp_path / "made"


def test_a_film_is_made_with_its_figures_and_nothing_else_stays(tmp_path, model, folder):
    upload = write_film(tmp_path / "walk.mp4", 20)
    path, text = Films(folder).segment(upload, model, WISHES, quiet)
    assert [one for one in folder.rglob("*") if one.is_file()] == [path]
    assert path.suffix == ".mp4"
    assert "FPS end to end, " in text
    assert "FPS model only" in text
    assert "20 pictures, 20 objects" in text
    assert "own rate is 25.0 FPS" in text
    assert "the first of" not in text


def test_wishes_are_heard(tmp_path, model, folder):
    upload = write_film(tmp_path / "walk.mp4", 5)
    assert "5 pictures, 0 objects" in Films(folder).segment(upload, model, Wishes(0.95, [], 0.5), quiet)[1]
    assert "5 pictures, 0 objects" in Films(folder).segment(upload, model, Wishes(0.45, ["dog"], 0.5), quiet)[1]


def test_a_long_film_is_looked_at_from_its_beginning_and_that_is_told(tmp_path, model, folder, monkeypatch):
    monkeypatch.setattr(app_film, "MAX_FILM_PICTURES", 8)
    upload = write_film(tmp_path / "walk.mp4", 20)
    assert "8 pictures, the first of 20, 8 objects" in Films(folder).segment(upload, model, WISHES, quiet)[1]


def test_what_is_no_film_is_told_by_the_visitors_name_and_leaves_nothing(tmp_path, model, folder):
    whole = write_film(tmp_path / "whole.mp4", 5).read_bytes()
    (tmp_path / "text.mp4").write_bytes(b"text" * 50)
    (tmp_path / "cut.mp4").write_bytes(whole[:36])
    at = whole.index(b"mdat") + 4
    (tmp_path / "dark.mp4").write_bytes(whole[:at] + bytes(64) + whole[at + 64 :])  # opens, and has no picture
    films = Films(folder)
    for name in ("text.mp4", "cut.mp4", "dark.mp4"):
        with pytest.raises(ConfigError) as told:
            films.segment(tmp_path / name, model, WISHES, quiet)
        assert str(told.value).startswith(f"{name}: ")
        assert str(tmp_path) not in str(told.value)
    assert not [one for one in folder.rglob("*") if one.is_file()]


@pytest.mark.slow(reason="a film that would take long is ended")
@pytest.mark.timeout(20)
def test_the_end_ends_the_film_that_is_made_waits_for_it_and_lets_none_begin(tmp_path, model, folder):
    upload = write_film(tmp_path / "walk.mp4", 3000)
    films, began, said = Films(folder), threading.Event(), []

    def show(done: int, total: int | None, dropped: int) -> None:
        if done:
            began.set()

    def work() -> None:
        said.append(films.segment(upload, model, WISHES, show)[1])

    worker = threading.Thread(target=work)
    worker.start()
    assert began.wait(10)
    films.end(10.0)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    worker.join(10)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert "600 pictures" not in said[0]
    with pytest.raises(ConfigError, match=r"walk\.mp4: was not looked at to its end"):
        films.segment(upload, model, WISHES, quiet)
