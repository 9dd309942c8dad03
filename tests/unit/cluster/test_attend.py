"""What `segsweep submit` says at its end, and with which code it exits."""

from pathlib import Path

import pytest

from examples import a_job
from fake_job_server import Server, ended, running
from segsweep.cluster.attend import Order, attend, talk
from segsweep.errors import ConfigError

SHARED = {"dataset": "s3://bucket/datasets/cats", "storage": "s3://bucket/sweeps"}


def order(wish="follow", **more):
    given = {"cluster": Path("cluster.yaml"), "address": None, **more}
    return Order(a_job(**SHARED), Path("jobs/cats.yaml"), ("budget.trials=4", "a=b c"), wish=wish, **given)


def talked(server, wish="follow"):
    said = []
    return talk(order(wish), server, said.append), "".join(said)


def test_the_command_that_comes_back_is_the_one_that_was_given():
    assert order().command == (
        "segsweep submit jobs/cats.yaml --cluster cluster.yaml --set budget.trials=4 --set 'a=b c'"
    )
    assert "--address http://x:1" in order(cluster=None, address="http://x:1").command


@pytest.mark.parametrize(
    ("job", "code"), [(ended(), 0), (ended("FAILED", code=3), 3), (ended("STOPPED", code=None), 4)]
)
def test_it_exits_with_the_code_of_the_sweep(job, code):
    server = Server([job], [["log\n"]])
    found, said = talked(server, "logs")
    assert found == code
    assert said.startswith("log\n")
    assert ("goes on" in said) == (code != 0)


def test_ctrl_c_leaves_the_job_alone():
    server = Server([running()], [["one\n", KeyboardInterrupt()]])

    def log(job_id):
        yield "one\n"
        raise KeyboardInterrupt

    server.log = log
    code, said = talked(server)
    assert code == 0
    assert server.stopped == []
    assert said.splitlines()[-1].startswith("the job goes on; come back with: segsweep submit jobs/cats.yaml")


def test_detached_nothing_is_followed():
    server = Server()
    code, said = talked(server, "detach")
    assert (code, len(server.sent)) == (0, 1)
    assert "come back with" in said


def test_stopping_tells_how_to_go_on():
    code, said = talked(Server([running()]), "stop")
    assert code == 0
    assert said.splitlines() == ["stopped; nothing is lost", f"next: {order().command}   goes on"]
    assert "no job of this run is at work" in talked(Server(), "stop")[1]


def test_a_job_with_places_of_this_machine_is_refused_before_anybody_is_asked():
    local = Order(a_job(), Path("jobs/cats.yaml"), (), Path("no-such-file.yaml"), None, "follow")
    with pytest.raises(ConfigError, match="a folder of your machine"):
        attend(local, print)
