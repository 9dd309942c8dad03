"""HyperOpt's TPE through Ray's HyperOptSearch, without a memory of its own.

Every suggestion is a function of what was observed so far, the seed and the trial's number. A resumed sweep therefore
proposes what an uninterrupted one would have, and the losses of earlier trials may be rewritten between suggestions,
which HyperOptSearch alone cannot do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hyperopt
import numpy as np
from ray.tune.search.hyperopt import HyperOptSearch

from segsweep.config.search_space import Distribution


@dataclass(frozen=True)
class Observation:
    """One earlier trial as TPE sees it.

    Attributes:
        point: Name -> unit coordinate in [0, 1].
        loss: Smaller is better; None for a trial that has no comparable value yet.
    """

    point: Mapping[str, float]
    loss: float | None


class TPE:
    """Tree-structured Parzen estimator over the unit cube of a search space.

    The algorithm is HyperOpt's (Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization").

    Args:
        distributions: Name -> distribution; a choice is a category, everything else a coordinate in [0, 1].
        seed: Of all suggestions.
        startup_trials: Random suggestions before the estimator is used.
    """

    def __init__(self, distributions: Mapping[str, Distribution], seed: int, startup_trials: int) -> None:
        self._options = {name: distribution.options for name, distribution in distributions.items()}
        self._seed = seed
        self._startup_trials = startup_trials

    def suggest(self, observations: Sequence[Observation], number: int) -> dict[str, float]:
        """Propose a point.

        Args:
            observations: Earlier trials, oldest first.
            number: The new trial's number, which seeds the draw.

        Returns:
            Name -> unit coordinate; a choice gets the middle of its option's interval.
        """
        search = HyperOptSearch(
            space={name: self._dimension(name) for name in self._options},
            metric="loss",
            mode="min",
            n_initial_points=self._startup_trials,
        )
        draw = np.random.RandomState(np.random.SeedSequence([self._seed, number]).generate_state(1))
        search.set_state({"hyperopt_trials": self._trials(search, observations), "rstate": draw.get_state()})
        found = search.suggest(f"t{number}")
        assert found is not None
        return {name: float(found[name]) for name in self._options}

    def _dimension(self, name: str) -> Any:
        options = self._options[name]
        if options is None:
            return hyperopt.hp.uniform(name, 0.0, 1.0)
        return hyperopt.hp.choice(name, [(index + 0.5) / options for index in range(options)])

    def _trials(self, search: HyperOptSearch, observations: Sequence[Observation]) -> hyperopt.Trials:
        trials = hyperopt.Trials()
        ids = trials.new_trial_ids(len(observations))
        results = [
            {"status": hyperopt.STATUS_NEW}
            if observation.loss is None
            else {"status": hyperopt.STATUS_OK, "loss": observation.loss}
            for observation in observations
        ]
        miscs = [
            {
                "tid": tid,
                "cmd": search.domain.cmd,
                "workdir": None,
                "idxs": {name: [tid] for name in self._options},
                "vals": {name: [self._stored(name, observation.point[name])] for name in self._options},
            }
            for tid, observation in zip(ids, observations, strict=True)
        ]
        docs = trials.new_trial_docs(ids, [None] * len(ids), results, miscs)
        for doc, observation in zip(docs, observations, strict=True):
            done = observation.loss is not None
            doc["state"] = hyperopt.JOB_STATE_DONE if done else hyperopt.JOB_STATE_RUNNING
        trials.insert_trial_docs(docs)
        trials.refresh()
        return trials

    def _stored(self, name: str, unit: float) -> float | int:
        """HyperOpt stores a choice as the index of its option."""
        options = self._options[name]
        return unit if options is None else min(int(unit * options), options - 1)
