"""What Ray has written down about a death becomes an error that says what happened, and its kind."""

import pytest

from segsweep.search.deaths import Death, last_death

# As Ray 2.60 writes them, where a raylet was killed, where it was asked to end, where a worker was killed, and where
# both were killed at once.
OF_AN_ACTOR = "The actor died unexpectedly before finishing this task.\n\tclass_name: W\n\tpid: 7\n\tip: 10.0.0.2\n"
SILENT = (
    "The actor died because its node has died. Node Id: b0835518\n\tthe actor's node was terminated unexpectedly: "
    "health check failed due to missing too many heartbeats"
)
ASKED = (
    "The actor died because its node has died. Node Id: fbb0e749\n\tthe actor's node was terminated expectedly: "
    "received SIGTERM"
)
KILLED = (
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker "
    "unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the OOM killer"
)
UNREACHABLE = (
    "The actor d4f43787 is unavailable: The actor is temporarily unavailable: RpcError: RPC error: Socket closed "
    "rpc_code: 14. The task may or may not have been executed on the actor."
)
MEMORY = (
    "1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 10.0.0.2, ID: f17a) was "
    "2.60GB used / 23.54GB limit (0.110472)\nTop 10 memory users:\nRefer to ..."
)


def written(folder, *deaths):
    path = folder / "error.txt"
    texts = [f"Failure # {number} (occurred at noon)\n{text}\n" for number, text in enumerate(deaths, 1)]
    path.write_text("".join(texts))
    return str(path)


@pytest.mark.parametrize(
    ("deaths", "error", "kind"),
    [
        (["Traceback:\n  deep\nMemoryError: no room\n"], "the worker died: MemoryError: no room", "worker died"),
        (["it hung", "it fell"], "the worker died: it fell", "worker died"),
        (["\n \n"], "the worker died: no message", "worker died"),
        (
            [OF_AN_ACTOR + SILENT],
            "its machine was lost: terminated unexpectedly: health check failed due to missing too many heartbeats",
            "node lost",
        ),
        ([OF_AN_ACTOR + ASKED], "its machine was lost: terminated expectedly: received SIGTERM", "node lost"),
        (
            [OF_AN_ACTOR + ASKED, OF_AN_ACTOR + KILLED],  # the last counts
            "the worker died: The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR "
            "Worker exit detail: Worker unexpectedly exits with a connection error code 2. End of file.",
            "worker died",
        ),
        ([UNREACHABLE], "its machine was lost: it is out of reach", "node lost"),
        (
            [MEMORY],
            "the machine ran out of memory (2.60GB used / 23.54GB) and the worker was killed: lower concurrency or "
            "train.batch, or raise resources.n.cpus: fewer trials then share a machine",
            "out of memory",
        ),
    ],
)
def test_the_last_death_says_what_happened(tmp_path, deaths, error, kind):
    assert last_death(written(tmp_path, *deaths), "n") == Death(error, kind)


def test_where_nothing_was_written_the_worker_died(tmp_path):
    unknown = Death("the worker died: no message", "worker died")
    assert last_death(None, "n") == last_death(str(tmp_path / "none.txt"), "n") == unknown
