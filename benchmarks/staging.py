"""Claims: staging a bundle, verified and unpacked, takes hardly longer than `s5cmd cp` of its shards.

One bundle of 1 GB lies on a real S3 server (SeaweedFS, on this machine). In turn, into empty folders of one disk:
`stage` fetches, verifies and unpacks it; `s5cmd cp` copies the same shards, neither verified nor unpacked; boto3
downloads the same images and labels, which lie there as objects of their own too, with 16 threads. All are processes
of their own from start to end, and the server shares the machine's cores with them. The bytes of the images are noise:
nobody decodes them here. Nothing is deleted until all is measured, for ext4 looks long for a free inode among those
that were deleted within the last minute, and what was written is on the disk before the next one starts.

    python benchmarks/staging.py
"""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from _bench import begin, show, timed, verdict
from segsweep.dataset.bundles.manifest import SCHEMA, FileEntry, Manifest, Small, Source, SplitFacts, content_digest
from segsweep.dataset.fidelity import Fidelity
from segsweep.dataset.preparing.batch import StoredView
from segsweep.dataset.preparing.packing import Placed, plan_shards
from segsweep.dataset.preparing.upload import upload_shards
from segsweep.dataset.records import SPLITS
from segsweep.storage import layout
from segsweep.storage.opening import open_store

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

S5CMD_GOAL, BOTO3_GOAL = 1.2, 0.2
IMAGE_BYTES, SHARD_BYTES = 100_000, 128_000_000
LABELS = b"0 0.1 0.1 0.9 0.1 0.9 0.9\n" * 5
STAGE = """
import sys
import time
from pathlib import Path
from segsweep.dataset.bundles.staging import stage
stage(sys.argv[1], Path(sys.argv[2]))
"""
BOTO3 = """
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import boto3
from botocore.config import Config
bucket, prefix, target = sys.argv[1], sys.argv[2], Path(sys.argv[3])
client = boto3.client("s3", config=Config(max_pool_connections=16))
pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
keys = [found["Key"] for page in pages for found in page["Contents"]]
def fetch(key):
    path = target / key
    path.parent.mkdir(parents=True, exist_ok=True)
    client.download_file(bucket, key, str(path))
with ThreadPoolExecutor(16) as pool:
    list(pool.map(fetch, keys))
"""


def main(argv: Sequence[str] | None = None) -> None:
    bench = begin(__doc__, argv, rounds=3)
    seaweed = importlib.import_module("seaweed")  # the tests' own, found by the path above
    work = bench.work / f"staging-{time.time_ns()}"  # a new one: removing the last one's files would come before timing
    targets = work / "targets"
    with seaweed.seaweed_server(work / "weed") as server:
        os.environ.update(server.environment)
        images = 200 if bench.quick else 10_000
        uri = write_bundle(work / "content", server.uri("bundles"), images)
        write_singly(server.uri("singly"), images)
        commands = {
            "stage": (sys.executable, "-c", STAGE, uri),
            "s5cmd": (str(Path(sys.executable).with_name("s5cmd")), "cp", f"{uri}/shards/*"),
            "boto3": (sys.executable, "-c", BOTO3, server.bucket, "singly/"),
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        environment = bench.environment(S3_ENDPOINT_URL=server.endpoint, **server.environment)
        for number in range(bench.rounds):
            for name, command in commands.items():
                target = targets / f"{name}-{number}"
                target.mkdir(parents=True)
                os.sync()
                seconds[name].append(timed((*command, f"{target}/"), environment, bench.work).wall_s)
    medians = {name: show(name, values) for name, values in seconds.items()}
    verdict("staging-over-s5cmd", medians["stage"] / medians["s5cmd"], S5CMD_GOAL)
    verdict("staging-over-boto3", medians["stage"] / medians["boto3"], BOTO3_GOAL)
    shutil.rmtree(work)


def contents(images: int) -> Iterator[bytes]:
    """Different bytes for every image."""
    rng = np.random.default_rng(0)
    for _ in range(images):
        yield rng.bytes(IMAGE_BYTES)


def write_bundle(work: Path, place: str, images: int) -> str:
    """A bundle of noise, in shards as `prepare` makes them; returns its URI."""
    work.mkdir(parents=True)
    placed: dict[str, list[Placed]] = {split: [] for split in SPLITS}
    batch = work / "x.batch"
    with batch.open("wb") as file:
        for number, image in enumerate(contents(images)):
            split = SPLITS[number % 10 - 7] if number % 10 > 7 else SPLITS[0]
            hashes = hashlib.sha256(image).digest() + hashlib.sha256(LABELS).digest()
            view = StoredView("", str(batch), file.tell(), len(image), len(LABELS), hashes, ((0, 5),))
            placed[split].append(Placed(split, f"{number:06d}", view, f"{number:06d}.jpg"))
            file.write(image + LABELS)
    plans = [plan for split in SPLITS for plan in plan_shards(split, placed[split], SHARD_BYTES)]
    files: list[FileEntry] = []
    for plan in plans:
        files += [entry for one in plan.files for entry in (one.image(plan.key), one.labels(plan.key))]
    digest = content_digest(("thing",), 640, {}, ((file.path, file.sha256) for file in files))
    store = open_store(place, layout.bundle_name("noise", digest))
    manifest = Manifest(
        schema=SCHEMA,
        name="noise",
        digest=digest,
        classes=("thing",),
        imgsz=640,
        parameters={},
        source=Source("noise", "yolo"),
        splits={split: SplitFacts(len(placed[split]), 0, {"thing": 5 * len(placed[split])}) for split in SPLITS},
        shards=upload_shards(plans, store, work),
        files=tuple(sorted(files, key=lambda file: file.path)),
        notes=(),
        fidelity=Fidelity(0, 0, 1.0, 1.0, ()),
        small=Small(0.0, 0, ()),
        cleaning={},
    )
    store.write(layout.MANIFEST, manifest.to_bytes())
    print(f"{store.uri}: {images} images, {sum(shard.size_bytes for shard in manifest.shards) / 1e6:.0f} MB")
    return store.uri


def write_singly(place: str, images: int) -> None:
    """The same images and labels as objects of their own."""
    store = open_store(place)

    def write(job: tuple[int, bytes]) -> None:
        number, image = job
        store.write(f"images/{number:06d}.jpg", image)
        store.write(f"labels/{number:06d}.txt", LABELS)

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(write, enumerate(contents(images))):
            pass


if __name__ == "__main__":
    main()
