"""A job on its way to a cluster: what is sent, what is followed, what is told."""

import pytest

from examples import a_job
from fake_job_server import Server, ended, running
from segsweep.cluster.job_server import LostServerError
from segsweep.cluster.submit import COMMAND, Submission, require_shared_places, run_uri, write_package
from segsweep.config.augmentation import parse_augmentation
from segsweep.config.job import load_job
from segsweep.errors import ConfigError, RunError

SHARED = {"dataset": "s3://bucket/datasets/cats", "storage": "s3://bucket/sweeps"}


@pytest.fixture
def told():
    return []


@pytest.fixture
def submission(told):
    return lambda server: Submission(server, a_job(**SHARED), "segsweep submit JOB", told.append, lambda seconds: None)


def test_what_is_sent_reads_back_as_the_same_job(tmp_path, monkeypatch):
    flat = {"online": [{"HorizontalFlip": {"p": 0.5}}]}
    job = a_job(**SHARED).model_copy(update={"augmentation": parse_augmentation(flat, "augment.yaml")})
    write_package(job, tmp_path)
    monkeypatch.chdir(tmp_path)
    there = load_job(tmp_path / "job.yaml")
    assert there.space == job.space
    assert there.augmentation == job.augmentation
    places = {"search_space", "augment"}
    assert there.job.model_dump(exclude=places) == job.job.model_dump(exclude=places)


def test_only_the_job_its_space_and_its_transforms_are_sent(submission):
    server = Server()
    job_id = submission(server).start()
    assert job_id.startswith(f"{a_job().job.name}-")
    assert server.sent == [
        (job_id, COMMAND, ["job.yaml", "search_space.yaml"], {"segsweep_run": run_uri(a_job(**SHARED).job)})
    ]


def test_a_run_that_is_at_work_is_not_started_again(submission, told):
    server = Server([ended("FAILED", "cats-0"), running("cats-1")])
    assert submission(server).start() == "cats-1"
    assert server.sent == []
    assert "at work since before" in told[0]


def test_a_run_whose_job_has_ended_is_submitted_again(submission):
    server = Server([ended("STOPPED")])
    assert submission(server).start() != "cats-1"
    assert len(server.sent) == 1


def test_a_head_that_takes_no_job_yet_is_asked_again(submission):
    class Young(Server):
        refusals = 3

        def submit(self, job_id, *what):
            if self.refusals:
                self.refusals -= 1
                raise LostServerError("No available agent to submit job, please try again later.")
            super().submit(job_id, *what)

    server = Young()
    assert submission(server).start()
    assert len(server.sent) == 1
    server.refusals = 99
    with pytest.raises(RunError, match="No available agent"):
        submission(server).start()


def test_a_job_whose_answer_was_lost_is_not_sent_twice(submission):
    class Mute(Server):
        def submit(self, job_id, *what):
            super().submit(job_id, *what)
            self.jobs = [running(job_id)]
            raise LostServerError("the answer never came")

    server = Mute()
    assert submission(server).start()
    assert len(server.sent) == 1


def test_after_a_lost_connection_the_log_goes_on_where_it_was(submission, told):
    server = Server(
        [ended()], [["one\n", "tw", LostServerError("gone")], [LostServerError("gone")], ["one\ntwo\nth", "ree\n"]]
    )
    shown = []
    assert submission(server).follow("cats-1", shown.append).exit_code == 0
    assert "".join(shown) == "one\ntwo\nthree\n"
    assert len(told) == 1  # once, not at every attempt


def test_a_log_that_ends_before_its_job_is_followed_on(submission):
    server = Server([running()], [["one\n"], ["one\n", "two\n"]])
    asked = iter([[running()], [ended(code=4)]])
    server.jobs_of = lambda run_uri: next(asked)
    shown = []
    assert submission(server).follow("cats-1", shown.append).exit_code == 4
    assert "".join(shown) == "one\ntwo\n"


def test_a_head_that_was_started_anew_is_told(submission):
    with pytest.raises(RunError, match="knows no job cats-1: it was started anew"):
        submission(Server([], [["one\n"]])).follow("cats-1", print)


def test_a_server_that_never_comes_back_is_given_up_and_the_job_is_said_to_go_on(submission):
    class Gone(Server):
        def log(self, job_id):
            raise LostServerError("no route")

    with pytest.raises(RunError, match=r"does not answer: no route .*A job that runs goes on"):
        submission(Gone()).follow("cats-1", print)


def test_stopping_waits_until_the_job_has_ended(submission):
    server = Server([running()])
    assert submission(server).stop()
    assert server.stopped == ["cats-1"]


def test_stopping_a_run_without_a_job_does_nothing(submission):
    server = Server([ended()])
    assert not submission(server).stop()
    assert server.stopped == []


def test_the_latest_job_is_the_one_whose_log_is_shown(submission):
    assert submission(Server([ended(job_id="cats-0"), running("cats-1")])).latest() == "cats-1"
    with pytest.raises(RunError, match="knows no job of it"):
        submission(Server()).latest()


def test_places_of_this_machine_alone_are_refused_all_at_once():
    job = a_job(dataset="build/bundles/cats", storage="~/runs", weights="weights").job
    with pytest.raises(ConfigError) as caught:
        require_shared_places(job, "cats.yaml")
    assert [(one.field, one.value) for one in caught.value.problems] == [
        ("dataset", "build/bundles/cats"),
        ("storage", "~/runs"),
        ("weights", "weights"),
    ]


@pytest.mark.parametrize("place", ["s3://bucket/x", "/mnt/disk/x", "file:///mnt/x"])
def test_places_that_all_machines_share_are_taken(place):
    require_shared_places(a_job(dataset=place, storage=place, weights="coco").job, "cats.yaml")
