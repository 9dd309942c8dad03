"""What a replay says of a trial, as a worker would, and what it says of the node."""

from types import SimpleNamespace

import pytest

from segsweep.errors import NoSpaceError, StorageError
from segsweep.sweep import replay


@pytest.fixture
def failing(monkeypatch, tmp_path):
    def train(error):
        def fail(task, report):
            raise error

        monkeypatch.setattr(replay, "prepare_ultralytics", lambda cache_dir: None)
        monkeypatch.setattr(replay, "keep_freed_memory", lambda: None)
        monkeypatch.setattr(replay, "import_once", lambda name: SimpleNamespace(train_trial=fail))
        return replay._train(None, lambda row: None, tmp_path)

    return train


def test_what_the_trial_raises_is_why_it_failed(failing):
    assert failing(ValueError("shapes")) == "ValueError: shapes"


@pytest.mark.parametrize(
    ("error", "kind"),
    [(OSError(28, "No space left on device"), NoSpaceError), (OSError(5, "Input/output error"), StorageError)],
)
def test_a_fault_of_the_node_is_none_of_the_trial(failing, error, kind):
    with pytest.raises(StorageError) as told:
        failing(error)
    assert type(told.value) is kind
