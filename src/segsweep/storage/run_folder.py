"""A run's folder as records: what the sweep writes and the report reads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from segsweep.core.trials import Status, TrialRecord
from segsweep.errors import DamagedRunError, NotFoundError, Problem, RunError
from segsweep.storage import layout
from segsweep.storage.store import Store

SCHEMA = 1

_UPDATE = "use the version of segsweep that wrote it, or a newer one"
_OF_A_TRIAL = {layout.TRIAL_RECORD, layout.TRIAL_ARGUMENTS, layout.TRIAL_METRICS, layout.TRIAL_LOG, layout.TRIAL_BEST}
REMEDY = "restore it from a backup, or move the trial's directory out of the run: the sweep goes on without it"
_AT_ONCE = 16  # records read; as many as the S3 client has connections


@dataclass(frozen=True)
class RunInfo:
    """The part of a run that never changes while it goes on, as `run.json` holds it.

    Attributes:
        name: The job's name.
        job: The resolved job, as plain data.
        search_space: The resolved search space, as plain data.
        dataset: URI of the bundle, with its digest in the name.
        dataset_digest: sha256 of the bundle's content.
        created: UTC time, ISO 8601.
        versions: Package versions that started the run.
        environment: Where it was started: host, CPUs, GPUs.
        augmentation: What the job's augment file holds, as plain data; None where it names none.
    """

    name: str
    job: Mapping[str, Any]
    search_space: Mapping[str, Any]
    dataset: str
    dataset_digest: str
    created: str
    versions: Mapping[str, str]
    environment: Mapping[str, Any]
    augmentation: Mapping[str, Any] | None = None


class RunFolder:
    """Typed access to one run's folder; stateless, so both wings may hold one.

    Args:
        store: The run's place, `<storage>/<name>`.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def read_info(self) -> RunInfo:
        """Read `run.json`.

        Raises:
            RunError: There is no run here, or it was written by a schema this version does not know.
            DamagedRunError: The file is not a run record.
        """
        where = f"{self.store.uri}/{layout.RUN}"
        try:
            data = json.loads(self.store.read(layout.RUN))
        except NotFoundError as exc:
            raise RunError(
                Problem(where, "no run is here", fix="name the run's folder, <storage>/<name> of the job")
            ) from exc
        except ValueError as exc:
            raise DamagedRunError(Problem(where, "is not JSON", fix="restore the file from a backup")) from exc
        if not isinstance(data, dict) or type(data.get("schema")) is not int:
            raise DamagedRunError(Problem(where, "is not a run record: it has no schema"))
        found = data.pop("schema")
        if found != SCHEMA:
            raise RunError(Problem(where, f"this version reads schema {SCHEMA}", "schema", str(found), _UPDATE))
        try:
            info = RunInfo(**data)
        except TypeError as exc:
            raise DamagedRunError(Problem(where, f"is not a run record: {exc}")) from exc
        if not isinstance(info.job, dict) or not isinstance(info.search_space, dict):
            raise DamagedRunError(Problem(where, "is not a run record: job and search_space must be mappings"))
        if not isinstance(info.augmentation, dict | None):
            raise DamagedRunError(Problem(where, "is not a run record: augmentation must be a mapping"))
        return info

    def write_info(self, info: RunInfo) -> None:
        """Write `run.json`."""
        self.store.write(layout.RUN, _dump({"schema": SCHEMA, **vars(info)}))

    def read_trials(self) -> list[TrialRecord]:
        """Every trial's record, in order of proposal.

        Raises:
            DamagedRunError: Records are unreadable, or missing beside other files of their trial; every one is named.
        """
        there = {info.key for info in self.store.list(layout.TRIALS)}
        parts = [key.split("/") for key in there]
        directories = sorted({part[1] for part in parts if len(part) == 3 and part[2] in _OF_A_TRIAL})
        keys = [layout.trial_key(directory, layout.TRIAL_RECORD) for directory in directories]
        problems = [Problem(f"{self.store.uri}/{key}", "is missing", fix=REMEDY) for key in keys if key not in there]
        keys = [key for key in keys if key in there]
        # Thousands of small objects: one after the other, S3 would take a minute to hand them over.
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            contents = list(pool.map(self.store.read, keys))
        records: list[TrialRecord] = []
        for key, content in zip(keys, contents, strict=True):
            where = f"{self.store.uri}/{key}"
            try:
                record = TrialRecord.from_json(json.loads(content))
            except (KeyError, TypeError, ValueError) as exc:
                problems.append(Problem(where, f"is not a trial record: {exc!r}", fix=REMEDY))
                continue
            if layout.trial_key(record.directory, layout.TRIAL_RECORD) != key:
                rule = "is the record of another directory: move the copy out of the run"
                problems.append(Problem(where, rule, "directory", record.directory))
            records.append(record)
        if problems:
            raise DamagedRunError(problems)
        return sorted(records, key=lambda record: record.number)

    def write_trial(self, record: TrialRecord) -> None:
        """Write the trial's record, whole."""
        self.store.write(layout.trial_key(record.directory, layout.TRIAL_RECORD), _dump(record.to_json()))

    def read_metrics(self, record: TrialRecord) -> list[dict[str, float]]:
        """The trial's epochs, oldest first: column name -> value; empty before the first epoch.

        Raises:
            DamagedRunError: The file is not a table of numbers, or has not all epochs of a trial that has succeeded.
        """
        key = layout.trial_key(record.directory, layout.TRIAL_METRICS)
        where = f"{self.store.uri}/{key}"
        try:
            text = csv.DictReader(io.StringIO(self.store.read(key).decode()))
            rows = [{name: float(value) for name, value in row.items() if value} for row in text]
        except NotFoundError:
            rows = []
        except (csv.Error, TypeError, ValueError) as exc:
            raise DamagedRunError(Problem(where, f"is not a table of numbers: {exc}", fix=REMEDY)) from exc
        if (
            record.status in (Status.COMPLETED, Status.STOPPED) and len(rows) < record.epoch
        ):  # they are kept before it ends
            rule = f"is missing or truncated: it has {len(rows)} epochs, the trial {record.epoch}"
            raise DamagedRunError(Problem(where, rule, fix=REMEDY))
        return rows


def _dump(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=False) + "\n").encode()
