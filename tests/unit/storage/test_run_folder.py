"""A run's folder gives back what was written, and names every file that is not what it should be."""

import json
import math

import pytest

from examples import a_job, a_trial
from segsweep.core.trials import Status
from segsweep.errors import DamagedRunError, RunError
from segsweep.storage import layout
from segsweep.storage.local import LocalStore
from segsweep.storage.run_folder import RunFolder, RunInfo


@pytest.fixture
def folder(tmp_path):
    return RunFolder(LocalStore(tmp_path / "run"))


def an_info(**changes):
    job = a_job()
    facts = {
        "name": "example",
        "job": job.job.model_dump(mode="json"),
        "search_space": job.space.to_flat(),
        "dataset": "bundles/example-0123456789ab",
        "dataset_digest": "0123456789abcdef",
        "created": "2026-01-02T03:04:05Z",
        "versions": {"ray": "2.60.0"},
        "environment": {"host": "here", "cpus": 2},
    }
    return RunInfo(**{**facts, **changes})


def write(folder, key, content):
    folder.store.write(key, content if isinstance(content, bytes) else json.dumps(content).encode())


def test_a_run_gives_back_what_it_was_started_with(folder):
    folder.write_info(an_info())
    assert folder.read_info() == an_info()
    assert json.loads(folder.store.read("run.json"))["schema"] == 1


def test_a_run_keeps_its_transforms_and_one_of_an_older_version_has_none(folder):
    info = an_info(augmentation={"online": [{"Blur": {"p": 0.5}}]})
    folder.write_info(info)
    assert folder.read_info() == info
    old = {name: value for name, value in vars(an_info()).items() if name != "augmentation"}
    write(folder, "run.json", {"schema": 1, **old})
    assert folder.read_info() == an_info()
    write(folder, "run.json", {"schema": 1, **old, "augmentation": [3]})
    with pytest.raises(DamagedRunError, match="augmentation must be a mapping"):
        folder.read_info()


def test_no_run_is_told_with_the_place_looked_at(folder):
    with pytest.raises(RunError) as caught:
        folder.read_info()
    place = f"{folder.store.uri}/run.json"
    assert str(caught.value) == f"{place}: no run is here (name the run's folder, <storage>/<name> of the job)"


INFO = {"schema": 1, **vars(an_info())}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON (restore the file from a backup)"),
        (b'{"schema": 1, "na', "is not JSON (restore the file from a backup)"),
        (b"\xff\xfe\xff", "is not JSON (restore the file from a backup)"),
        ([], "is not a run record: it has no schema"),
        ({}, "is not a run record: it has no schema"),
        ({"schema": 1, "name": "x"}, "is not a run record: RunInfo.__init__() missing 7 required positional arguments"),
        ({**INFO, "mood": 1}, "is not a run record: RunInfo.__init__() got an unexpected keyword argument 'mood'"),
        ({**INFO, "job": []}, "is not a run record: job and search_space must be mappings"),
        ({**INFO, "search_space": None}, "is not a run record: job and search_space must be mappings"),
    ],
)
def test_what_is_no_run_is_told_in_words(folder, content, message):
    write(folder, layout.RUN, content)
    with pytest.raises(DamagedRunError) as caught:
        folder.read_info()
    assert str(caught.value).startswith(f"{folder.store.uri}/run.json: {message}")


@pytest.mark.parametrize("schema", [0, 2])
def test_a_run_of_another_schema_is_whole_but_not_ours_to_read(folder, schema):
    write(folder, layout.RUN, {**INFO, "schema": schema})
    with pytest.raises(RunError, match=f"schema = {schema}: this version reads schema 1.*use the version") as caught:
        folder.read_info()
    assert caught.value.exit_code == 4


def test_trials_come_back_whole_and_in_order_of_proposal(folder):
    records = [a_trial(10, "n", rungs={1: 0.5}), a_trial(2, "s", mask_map50_95=0.25), a_trial(1, "x", unit=None)]
    for record in records:
        folder.write_trial(record)
    assert folder.read_trials() == sorted(records, key=lambda record: record.number)


def test_a_trial_is_written_over_whole(folder):
    folder.write_trial(a_trial(rungs={1: 0.5, 3: math.nan}))
    folder.write_trial(a_trial(rungs={1: 0.5}))
    assert folder.read_trials() == [a_trial(rungs={1: 0.5})]


def test_a_run_without_trials_has_none(folder):
    assert folder.read_trials() == []


def test_other_files_beside_and_below_a_trials_record_are_not_records(folder):
    record = a_trial()
    folder.write_trial(record)
    for key in (
        "trials/trial.json",
        "trials/a/b/trial.json",
        f"trials/{record.directory}/metrics.csv",
        "trials/a/x.json",
    ):
        write(folder, key, b"not a record")
    assert folder.read_trials() == [record]


def test_every_unreadable_record_is_named_at_once(folder):
    folder.write_trial(a_trial(1))
    whole = json.dumps(a_trial(2).to_json()).encode()
    broken = {
        "a-truncated": (whole[: len(whole) // 2], "is not a trial record: JSONDecodeError"),
        "b-empty": (b"", "is not a trial record: JSONDecodeError"),
        "c-binary": (b"\xff\xfe\xff", "is not a trial record: UnicodeDecodeError"),
        "d-list": (b"[]", "is not a trial record: KeyError('status')"),
        "e-rungs": ({**a_trial(3).to_json(), "rungs": [1]}, "is not a trial record: TypeError"),
        "f-status": ({**a_trial(3).to_json(), "status": "DONE"}, "is not a trial record: ValueError"),
        "g-size": ({**a_trial(3).to_json(), "variant": "q"}, "is not a trial record: ValueError"),
        "h-copy": (a_trial(1).to_json(), f"directory = {a_trial(1).directory}: is the record of another directory"),
    }
    for name, (content, _) in broken.items():
        write(folder, f"trials/{name}/trial.json", content)
    with pytest.raises(DamagedRunError) as caught:
        folder.read_trials()
    lines = str(caught.value).splitlines()
    assert len(lines) == len(broken)
    for line, (name, (_, message)) in zip(lines, broken.items(), strict=True):
        assert line.startswith(f"{folder.store.uri}/trials/{name}/trial.json: {message}")


def test_metrics_come_back_as_numbers_by_column(folder):
    record = a_trial()
    assert folder.read_metrics(record) == []
    write(
        folder, layout.trial_key(record.directory, "metrics.csv"), b"epoch,mask_map50_95,lr_pg0\n1,nan,\n2,0.5,1e-4\n"
    )
    first, second = folder.read_metrics(record)
    assert first.keys() == {"epoch", "mask_map50_95"}  # an empty cell is nothing, not 0
    assert (first["epoch"], math.isnan(first["mask_map50_95"])) == (1.0, True)
    assert second == {"epoch": 2.0, "mask_map50_95": 0.5, "lr_pg0": 1e-4}


@pytest.mark.parametrize("content", [b"epoch\nfirst\n", b"epoch\n1,2\n", b"epoch\n\xff\n"])
def test_metrics_that_are_no_numbers_are_named(folder, content):
    record = a_trial()
    write(folder, layout.trial_key(record.directory, "metrics.csv"), content)
    with pytest.raises(DamagedRunError, match=r"n-lr0=0.01-t0001/metrics.csv: is not a table of numbers"):
        folder.read_metrics(record)


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.STOPPED])
def test_a_trial_that_has_ended_has_all_its_epochs_or_is_damaged(folder, status):
    record = a_trial(status=status, epoch=2)
    for content, there in ((None, 0), (b"epoch\n", 0), (b"epoch\n1\n", 1)):
        if content is not None:
            write(folder, layout.trial_key(record.directory, "metrics.csv"), content)
        with pytest.raises(DamagedRunError, match=rf"metrics.csv: is missing .* it has {there} epochs, the trial 2"):
            folder.read_metrics(record)
    write(folder, layout.trial_key(record.directory, "metrics.csv"), b"epoch\n1\n2\n")
    assert len(folder.read_metrics(record)) == 2


def test_a_trial_whose_record_is_gone_is_told_not_forgotten(folder):
    folder.write_trial(a_trial(1))
    folder.store.write("trials/n-lr0=0.01-t0002/metrics.csv", b"epoch")
    with pytest.raises(DamagedRunError, match=r"t0002/trial\.json: is missing \(restore it from a backup, or move"):
        folder.read_trials()
