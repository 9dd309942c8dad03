"""Where a trial's state is kept while it trains: after every epoch on the node, every few minutes in the run's storage.

Writing to the node's disk is cheap, and what lies there outlives the worker, the driver and Ray. The run's storage may
be far away and outlives the node. Neither is waited for while an epoch trains; at a rung the driver decides, and then
the storage has everything the decision is about.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from segsweep.storage import layout
from segsweep.storage.local import LocalStore
from segsweep.storage.store import Store
from segsweep.training.checkpoint import Checkpoint, CheckpointFolder
from segsweep.training.uploads import Uploads

logger = logging.getLogger(__name__)

_FORGOTTEN_S = 14 * 86400  # what a killed trial left on a node and nobody came back for


class Keeping:
    """One trial's checkpoints and best weights, on the node and in the run's storage.

    Leaving its block keeps the newest epoch in the run's storage and clears the node; a process that is killed leaves
    what is on the node to the one that goes on.

    Args:
        store: The run's place.
        directory: The trial's directory.
        root: The run's folder on the node, see `node_folder`.
        every_s: Seconds from one checkpoint in the run's storage to the next; rungs have one anyway.
        describe: Writes metrics and log to the run's storage.
    """

    def __init__(self, store: Store, directory: str, root: Path, every_s: float, describe: Callable[[], None]) -> None:
        self._store = store
        self._directory = directory
        self._every_s = every_s
        self._describe = describe
        self._root = root
        self._stored = CheckpointFolder(store, directory)
        self._node = CheckpointFolder(LocalStore(self._root), directory)
        self._to_node = Uploads()
        self._to_storage = Uploads()
        self._newest = 0  # epoch on the node
        self._in_storage = 0
        self._under_way = 0  # epoch that goes to the storage now
        self._best_epochs: dict[int, int] = {}  # epoch -> epoch of the best weights then
        self._stored_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.settle()
        except Exception:
            if error is None or not isinstance(error, Exception):
                raise
            logger.warning("what was under way could not be kept either", exc_info=True)  # what came first is told
        else:
            shutil.rmtree(self._root / layout.trial_key(self._directory, ""), ignore_errors=True)
        finally:
            self._to_node.close()
            self._to_storage.close()

    def load(self, config_hash: str) -> Checkpoint | None:
        """The newest checkpoint that is whole, belongs to the configuration and has its best weights; None without."""
        stored = self._stored.epochs()
        candidates = [(epoch, True) for epoch in self._node.epochs()] + [(epoch, False) for epoch in stored]
        for epoch, is_on_node in sorted(candidates, reverse=True):
            checkpoint = (self._node if is_on_node else self._stored).load(epoch, config_hash)
            if checkpoint is None:
                continue
            best = checkpoint.best_epoch
            in_storage = max((one for one in stored if one <= epoch), default=0)
            # The best weights go to the storage before the checkpoint does.
            if best > in_storage and not self._node.store.exists(self._best_key(best)):
                logger.warning("the best weights of epoch %d are not on this node: the one before is used", best)
                continue
            self._newest, self._in_storage = epoch, in_storage
            self._best_epochs[epoch] = best
            return checkpoint
        return None

    def keep(self, checkpoint: Checkpoint, best: bytes | None) -> None:
        """Keep the epoch that has just ended; what it needs of the trainer is taken now, the rest happens meanwhile.

        Args:
            checkpoint: Its state.
            best: The averaged weights if they are the best so far.
        """
        self._to_node.finish()  # before this epoch's files are made: memory holds those of one
        epoch, state = checkpoint.epoch, checkpoint.to_bytes()
        self._best_epochs[epoch] = checkpoint.best_epoch

        def work() -> None:
            if best is not None:
                self._node.store.write(self._best_key(epoch), best)
            self._node.save(epoch, state)
            self._node.prune(epoch, besides=self._under_way)
            self._drop_old_weights()
            self._newest = epoch
            is_due = time.monotonic() - self._stored_at >= self._every_s
            self._to_storage.offer(lambda: self._to_run(epoch if is_due else 0))

        self._to_node.start(work)

    def settle(self) -> None:
        """Wait until the newest epoch is in the run's storage."""
        self._to_node.finish()
        self._to_storage.finish()
        if self._in_storage < self._newest:
            self._to_run(self._newest)

    def _to_run(self, epoch: int) -> None:
        """Keep an epoch in the run's storage, or none where it is 0, and what is to be read there."""
        if epoch:
            self._under_way, self._stored_at = epoch, time.monotonic()
            best = self._best_epochs[epoch]
            if best > self._in_storage:
                weights = layout.trial_key(self._directory, layout.TRIAL_BEST)
                self._store.upload(self._root / self._best_key(best), weights)
            self._store.upload(self._root / self._node.key(epoch), self._stored.key(epoch))
            self._stored.prune(epoch)
            self._in_storage, self._under_way = epoch, 0
        self._describe()

    def _drop_old_weights(self) -> None:
        kept = [self._best_epochs[epoch] for epoch in self._node.epochs() if epoch in self._best_epochs]
        for epoch in [one for one in self._best_epochs if one < min(kept)]:
            self._node.store.delete(self._best_key(epoch))

    def _best_key(self, epoch: int) -> str:
        return layout.trial_key(self._directory, layout.node_weights_name(epoch))


def node_folder(cache_dir: Path, run_uri: str, created: str = "") -> Path:
    """Where a run's checkpoints lie on a node; a run that was removed and begun anew does not find the old ones."""
    return cache_dir / layout.NODE_CHECKPOINTS / hashlib.sha256(f"{run_uri} {created}".encode()).hexdigest()[:16]


def forget_old(cache_dir: Path) -> None:
    """Remove what nobody has come back for in two weeks."""
    base = cache_dir / layout.NODE_CHECKPOINTS
    for run in base.glob("*"):
        with suppress(OSError):  # somebody else removes it, or uses it
            if time.time() - max(path.stat().st_mtime for path in (run, *run.rglob("*"))) > _FORGOTTEN_S:
                shutil.rmtree(run)
