"""A bundle's manifest: what is in it, where it came from, and the digest that names it."""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from pydantic import TypeAdapter, ValidationError

from segsweep.dataset.bundles.contradictions import contradictions
from segsweep.dataset.fidelity import Fidelity
from segsweep.dataset.records import Findings, Note
from segsweep.errors import DatasetError, NotFoundError, Problem
from segsweep.storage import layout
from segsweep.storage.opening import open_store

SCHEMA = 2

_CHUNK_BYTES = 1 << 20
_MOST_BYTES = 1 << 28  # a bundle of half a million images


@dataclass(frozen=True)
class ShardEntry:
    """One tar of a bundle.

    Attributes:
        key: Relative to the bundle.
        size_bytes: Of the tar.
        sha256: Of the tar.
    """

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One image or label file of a bundle.

    Attributes:
        path: Inside its shard, and inside a node's copy.
        size_bytes: Of the file.
        sha256: Of the file.
        shard: Key of the tar that holds it.
        source: The image it was made from, by its name in the raw dataset.
    """

    path: str
    size_bytes: int
    sha256: str
    shard: str
    source: str


@dataclass(frozen=True)
class SplitFacts:
    """What one split holds.

    Attributes:
        images: Number of images, copies and tiles included.
        background: Number of images without an instance.
        instances: Class name -> number of instances.
        copies: How many of the images are augmented copies of others.
    """

    images: int
    background: int
    instances: Mapping[str, int]
    copies: int = 0


@dataclass(frozen=True, slots=True)
class SmallObject:
    """An object that is smaller than was asked for; it is kept all the same.

    Attributes:
        image: Name of the source image.
        object: Its number among the image's objects, from 0.
        category: Its class.
        area_px: Its area in the bundle's image, pixels.
    """

    image: str
    object: int
    category: str
    area_px: float


@dataclass(frozen=True)
class Small:
    """Objects below the stated size.

    Attributes:
        min_area_px: The stated size, in pixels of the bundle's images.
        count: How many objects are smaller.
        objects: The first of them; all are in `cleaning.csv`.
    """

    min_area_px: float
    count: int
    objects: tuple[SmallObject, ...]


@dataclass(frozen=True)
class Source:
    """Where a bundle came from; no part of the digest.

    Attributes:
        uri: The raw dataset, as it was named to `prepare`.
        format: Its format.
    """

    uri: str
    format: str


@dataclass(frozen=True)
class Manifest:
    """Everything that is known about a bundle.

    Attributes:
        schema: Version of this record.
        name: The dataset's name.
        digest: sha256 over classes, parameters and every file's path and hash.
        classes: Class names; a label row's class is an index into them.
        imgsz: Longest side of every image, pixels.
        parameters: All else that shaped the content: split, seed, JPEG quality.
        source: Where it came from.
        splits: Facts of train, val and test.
        shards: In order of key.
        files: In order of path.
        notes: What was repaired, left out or decided on the way.
        fidelity: How well the objects survived, measured at source size.
        small: Objects below the stated size.
        cleaning: Rule -> how often it was applied; each time is a row of `cleaning.csv`.
    """

    schema: int
    name: str
    digest: str
    classes: tuple[str, ...]
    imgsz: int
    parameters: Mapping[str, Any]
    source: Source
    splits: Mapping[str, SplitFacts]
    shards: tuple[ShardEntry, ...]
    files: tuple[FileEntry, ...]
    notes: tuple[Note, ...]
    fidelity: Fidelity
    small: Small
    cleaning: Mapping[str, int]

    @property
    def directory(self) -> str:
        """The bundle's directory name."""
        return layout.bundle_name(self.name, self.digest)

    def lines(self, files: Iterable[FileEntry]) -> Iterator[bytes]:
        """The content of `manifest.json` piece by piece, for it grows with the bundle; a file is a line.

        Args:
            files: In place of the manifest's own, which may be left out where they would fill memory.
        """
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "files"}
        head = json.dumps(facts, default=asdict, indent=1, ensure_ascii=False).removesuffix("\n}")
        yield f'{head},\n "files": ['.encode()
        separator = "\n  "
        for file in files:
            yield (separator + _file_line(file)).encode()
            separator = ",\n  "
        yield b"\n ]\n}\n"

    def to_bytes(self) -> bytes:
        """The content of `manifest.json`; the same manifest gives the same bytes."""
        return b"".join(self.lines(self.files))


_ADAPTER = TypeAdapter(Manifest)


def content_digest(
    classes: tuple[str, ...], imgsz: int, parameters: Mapping[str, Any], files: Iterable[tuple[str, str]]
) -> str:
    """sha256 over what training sees: the same content has the same digest on every machine and day.

    Args:
        classes: Class names.
        imgsz: Longest side, pixels.
        parameters: All else that shaped the content.
        files: Path and sha256 of every file, in any order.
    """
    return ordered_digest(classes, imgsz, parameters, sorted(files))


def ordered_digest(
    classes: tuple[str, ...], imgsz: int, parameters: Mapping[str, Any], files: Iterable[tuple[str, str]]
) -> str:
    """The `content_digest` of files that come in the order of their paths, one at a time."""
    content = {"schema": SCHEMA, "classes": list(classes), "imgsz": imgsz, "parameters": dict(parameters)}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
    for path, sha256 in files:
        digest.update(f"\n{path} {sha256}".encode())
    return digest.hexdigest()


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Inverse of `Manifest.to_bytes`.

    Args:
        data: Content of a `manifest.json`.
        where: Its URI, for messages.

    Raises:
        DatasetError: A field is missing or wrong, a split is missing, or the digest is not that of the content; all
            mistakes are told.
    """
    fix = "prepare the dataset anew"
    try:
        manifest = _ADAPTER.validate_json(data, strict=True)
    except ValidationError as exc:
        _require_schema(data, where)  # another's fields are others, too
        raise DatasetError([_problem(where, error) for error in exc.errors()]) from exc
    if manifest.schema != SCHEMA:
        _require_schema(data, where)
    files = ((file.path, file.sha256) for file in manifest.files)
    digest = content_digest(manifest.classes, manifest.imgsz, manifest.parameters, files)
    findings = Findings()
    for field, value, rule in contradictions(manifest, digest):
        findings.fault(where, rule, field=field, value=value, fix=fix)
    if findings.problems:
        raise DatasetError(findings.problems)
    return manifest


def _require_schema(data: bytes, where: str) -> None:
    fix = "prepare the dataset anew"
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise DatasetError(Problem(where, f"must be JSON: {exc}", fix=fix)) from exc
    found = raw.get("schema") if isinstance(raw, dict) else None
    if found != SCHEMA:
        raise DatasetError(Problem(where, f"this version reads schema {SCHEMA}", "schema", reprlib.repr(found), fix))


def read_manifest(uri: str) -> Manifest:
    """Read and check the manifest of the bundle at `uri`.

    Raises:
        DatasetError, StorageError: See `fetch_manifest`.
    """
    return fetch_manifest(uri)[0]


def fetch_manifest(uri: str) -> tuple[Manifest, bytes]:
    """Read and check the manifest of the bundle at `uri`; also as the bytes that are there.

    Args:
        uri: The bundle itself, digest and all; see `resolve_bundle`.

    Raises:
        DatasetError: There is no bundle, or its manifest is wrong.
        StorageError: Its place cannot be read.
    """
    store = open_store(uri)
    where = f"{store.uri}/{layout.MANIFEST}"
    try:
        data = store.stream(layout.MANIFEST, lambda file: _read_bounded(file, where))
    except NotFoundError as exc:
        fix = "write one with `segsweep prepare`, or name another"
        raise DatasetError(Problem(store.uri, f"no bundle is here: it has no {layout.MANIFEST}", fix=fix)) from exc
    return parse_manifest(data, where), data


def _read_bounded(file: BinaryIO, where: str) -> bytes:
    data = bytearray()
    while chunk := file.read(_CHUNK_BYTES):
        data += chunk
        if len(data) > _MOST_BYTES:
            raise DatasetError(Problem(where, f"a manifest has at most {_MOST_BYTES >> 20} MiB"))
    return bytes(data)


def _problem(where: str, error: Any) -> Problem:
    field = ".".join(str(step) for step in error["loc"])
    if error["type"] == "missing":
        return Problem(where, "the field is missing", field, fix="prepare the dataset anew")
    return Problem(where, error["msg"].lower(), field, reprlib.repr(error["input"]), "prepare the dataset anew")


def _file_line(file: FileEntry) -> str:
    row = {name: getattr(file, name) for name in FileEntry.__slots__}
    return json.dumps(row, ensure_ascii=False)
