"""A folder as a store: the cheap twin of S3, and the right place when every machine mounts the same disk."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, TypeVar

from segsweep.errors import ConflictError, NotFoundError, Problem
from segsweep.storage.files import disk_errors, written_whole
from segsweep.storage.store import RESERVED_PREFIX, ObjectInfo, checked_key, checked_prefix

_T = TypeVar("_T")

_LOCK_NAME = f"{RESERVED_PREFIX}lock"


class LocalStore:
    """Bytes under keys in a folder. See `Store` for the methods.

    Conditional writes to one folder exclude each other by an advisory lock on a hidden file in it. That holds between
    machines where the file system carries `flock` (NFSv4, CIFS, Lustre with `-o flock`), as it does between processes.

    Args:
        root: The folder; made by the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()

    def __repr__(self) -> str:
        return f"LocalStore({self.uri!r})"

    @property
    def uri(self) -> str:
        """The absolute folder."""
        return str(self.root)

    def read(self, key: str) -> bytes:
        """Return the whole object."""
        return self.read_versioned(key)[0]

    def read_versioned(self, key: str) -> tuple[bytes, str]:
        """Return the object and its version."""
        # A file is never changed in place, so what is read from one descriptor is one version.
        with self._opened(key) as file:
            return file.read(), _version(os.fstat(file.fileno()))

    def write(self, key: str, data: bytes) -> None:
        """Write or overwrite the object atomically."""
        path = self._path(key)
        with disk_errors(str(path), len(data)), written_whole(path) as file:
            file.write(data)

    def create(self, key: str, data: bytes) -> str:
        """Write the object only if there is none."""
        path = self._path(key)
        with disk_errors(str(path)), _exclusive(path.parent):
            try:
                return _put(path, data, commit=_take_name)
            except FileExistsError as exc:
                raise ConflictError(Problem(str(path), "exists already")) from exc

    def replace(self, key: str, data: bytes, version: str) -> str:
        """Overwrite only if the object still has `version`."""
        path = self._path(key)
        with disk_errors(str(path)), _exclusive(path.parent):
            try:
                found = self.read_versioned(key)[1]  # opened, not only looked up: NFS caches what it looked up
            except NotFoundError as exc:
                raise ConflictError(Problem(str(path), "was removed by somebody else")) from exc
            if found != version:
                raise ConflictError(Problem(str(path), "was written by somebody else"))
            return _put(path, data)

    def upload(self, path: Path, key: str) -> None:
        """Copy a local file to the key atomically."""
        target = self._path(key)
        with disk_errors(str(path)):
            source = path.open("rb")
        size_bytes = os.fstat(source.fileno()).st_size
        with source, disk_errors(str(target), size_bytes), written_whole(target) as file:
            shutil.copyfileobj(source, file, _COPY_BYTES)

    def download(self, key: str, path: Path) -> None:
        """Copy the object to a local file atomically."""
        with self._opened(key) as source, disk_errors(str(path)), written_whole(path) as file:
            shutil.copyfileobj(source, file, _COPY_BYTES)

    def stream(self, key: str, consume: Callable[[BinaryIO], _T]) -> _T:
        """Let a function read the object."""
        path = self._path(key)
        with disk_errors(str(path)):
            try:
                file = path.open("rb", buffering=_COPY_BYTES)
            except (IsADirectoryError, NotADirectoryError) as exc:
                raise NotFoundError(Problem(str(path), "does not exist")) from exc
        with file:
            return consume(file)  # what it does to other files is not told as this one's fault

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in key order."""
        checked_prefix(self.uri, prefix)
        return self._walk(self.root, "", prefix)

    def exists(self, key: str) -> bool:
        """Whether the object is there."""
        path = self._path(key)
        with disk_errors(str(path)):
            return path.is_file()

    def delete(self, key: str) -> None:
        """Remove the object; no error if there is none."""
        path = self._path(key)
        with disk_errors(str(path)):
            try:
                path.unlink(missing_ok=True)
            except (NotADirectoryError, IsADirectoryError):
                return  # `a` is a file and the key `a/b`, or a folder and the key `a`: no such object

    def _path(self, key: str) -> Path:
        return self.root / checked_key(self.uri, key)

    @contextmanager
    def _opened(self, key: str) -> Iterator[BinaryIO]:
        path = self._path(key)
        with disk_errors(str(path)):
            try:
                file = path.open("rb")
            except (IsADirectoryError, NotADirectoryError) as exc:
                raise NotFoundError(Problem(str(path), "does not exist")) from exc
        with file, disk_errors(str(path)):
            yield file

    def _walk(self, folder: Path, folder_key: str, prefix: str) -> Iterator[ObjectInfo]:
        with disk_errors(str(folder)):
            try:
                with os.scandir(folder) as found:
                    entries = [entry for entry in found if not entry.name.startswith(RESERVED_PREFIX)]
            except (FileNotFoundError, NotADirectoryError):
                return  # the store has no object yet, or the folder was removed meanwhile
        # Sorted with the slash that follows a folder's name, siblings come in the order of whole keys: "a-b" < "a/b".
        # Links to folders are not followed: they may lead back up.
        keyed = [(folder_key + entry.name + "/" * entry.is_dir(follow_symlinks=False), entry) for entry in entries]
        for key, entry in sorted(keyed, key=lambda pair: pair[0]):
            if key.endswith("/"):
                if key.startswith(prefix) or prefix.startswith(key):
                    yield from self._walk(Path(entry.path), key, prefix)
            elif key.startswith(prefix):
                with disk_errors(entry.path):
                    try:
                        facts = entry.stat()
                    except FileNotFoundError:
                        continue  # removed since the folder was read
                if stat.S_ISREG(facts.st_mode):
                    yield ObjectInfo(key, facts.st_size, _version(facts))


_COPY_BYTES = 1 << 20
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}  # exFAT and some network file systems


def _version(facts: os.stat_result) -> str:
    return f"{facts.st_mtime_ns:x}-{facts.st_size:x}-{facts.st_ino:x}"


def _put(path: Path, data: bytes, commit: Callable[[Path, Path], object] = Path.replace) -> str:
    with written_whole(path, commit) as file:
        file.write(data)
    return _version(path.stat())


def _take_name(temporary: Path, path: Path) -> None:
    """Name a file unless the name is taken; on a network file system its server decides, not this machine's cache."""
    try:
        path.hardlink_to(temporary)
    except OSError as exc:
        if exc.errno not in _NO_HARD_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from exc
        temporary.replace(path)


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, a file that is there only meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _LOCK_NAME
    while True:
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # not `lockf`: threads of one process must exclude each other too
            if not _is_file_at(path, file):
                continue  # whoever held it has removed it: this one excludes nobody any more
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_file_at(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
