"""Claims: `segsweep --help` imports neither torch nor ray, and eight trials on one node fetch the dataset once.

The first is checked in the interpreter's own list of imports (`python -X importtime`), and its price is set beside two
others: `python -c pass`, below which nothing goes, and `yolo --help`, Ultralytics' own command line.
The second lets eight fresh processes stage the same bundle into an empty cache at the same moment and counts what
they fetched in the node's record of downloads.

    python benchmarks/startup.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence

from _bench import SEGSWEEP, Bench, begin, show, timed, verdict
from segsweep.storage import layout

HELP_GOAL = 0.1
HEAVY = ("torch", "ray", "ultralytics", "boto3", "cv2", "numpy", "pydantic")
FORBIDDEN = {"torch", "ray"}
TRIALS = 8
STAGE = """
import sys
from pathlib import Path
from segsweep.dataset.environment import prepare_ultralytics
prepare_ultralytics(Path(sys.argv[2]))
from segsweep.dataset.loader import prebuild_label_cache
from segsweep.dataset.bundles.staging import stage
sys.stdin.readline()
print(stage(sys.argv[1], Path(sys.argv[2]), prebuild_label_cache).root)
"""


def main(argv: Sequence[str] | None = None) -> None:
    bench = begin(__doc__, argv, rounds=7)
    found = imported(bench)
    print(
        f"segsweep --help imports {len(found)} modules, of {', '.join(HEAVY)}: {sorted(set(HEAVY) & found) or 'none'}"
    )
    print(f"heavy imports: {sorted(FORBIDDEN & found) or 'none'}, goal none")
    commands = {
        "python -c pass": (sys.executable, "-c", "pass"),
        "segsweep --help": (*SEGSWEEP, "--help"),
        "yolo --help": (sys.executable, "-c", "from ultralytics.cfg import entrypoint; entrypoint('help')"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    environment = bench.environment(YOLO_OFFLINE="1", YOLO_CONFIG_DIR=str(bench.work / "yolo"))
    for _ in range(bench.rounds):
        for name, command in commands.items():
            seconds[name].append(timed(command, environment, bench.work).wall_s)
    medians = {name: show(name, values) for name, values in seconds.items()}
    print(f"segsweep --help takes {medians['segsweep --help'] / medians['python -c pass']:.1f} x python -c pass")
    verdict("help", medians["segsweep --help"] / medians["yolo --help"], HELP_GOAL)
    verdict("downloads", float(downloads(bench)), 1.0)


def imported(bench: Bench) -> set[str]:
    """Top-level packages that `segsweep --help` imports."""
    command = (sys.executable, "-X", "importtime", *SEGSWEEP[1:], "--help")
    done = subprocess.run(command, env=bench.environment(), check=True, capture_output=True, text=True)
    names = (line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {name.partition(".")[0] for name in names}


def downloads(bench: Bench) -> int:
    """How often eight processes that stage one bundle at once fetch it."""
    bundle = bench.bundle(12 if bench.quick else 96)
    cache = bench.work / "startup-cache"
    shutil.rmtree(cache, ignore_errors=True)
    command = (sys.executable, "-c", STAGE, bundle, str(cache))
    nodes = [
        subprocess.Popen(command, env=bench.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(TRIALS)
    ]
    for node in nodes:
        assert node.stdin is not None
        node.stdin.write("go\n")
        node.stdin.flush()
    roots = {node.communicate()[0].splitlines()[-1] for node in nodes}
    assert len(roots) == 1, roots
    lines = (cache / layout.NODE_BUNDLES / layout.NODE_DOWNLOADS).read_text().splitlines()
    print(f"{TRIALS} processes staged {bundle}; {layout.NODE_DOWNLOADS} says: {lines}")
    return len(lines)


if __name__ == "__main__":
    main()
