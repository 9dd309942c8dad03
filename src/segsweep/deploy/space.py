"""`segsweep app --space`: the demo page as a folder that can be published as a Hugging Face Space.

```
DIR/README.md          front matter (huggingface.co/docs/hub/spaces-config-reference), what it is
DIR/requirements.txt   what it needs, in the versions that are installed here; no torch
DIR/app.py             starts the page
DIR/space.json         models and examples; the mark of a folder that this command wrote
DIR/models/            ONNX files
DIR/examples/          JPEGs
DIR/segsweep/          the modules that the page imports, copied
DIR/LICENSE            AGPL-3.0
DIR/.gitattributes     models go to Git LFS
```
"""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import segsweep
from segsweep.dataset.pictures.picture import encode_jpeg
from segsweep.deploy.app_limits import read_image
from segsweep.deploy.app_models import Offer, Shelf
from segsweep.deploy.app_source import LICENCE, PACKAGE, licence_text
from segsweep.deploy.image_files import overlay_names
from segsweep.errors import ConfigError, Problem, shortened
from segsweep.storage.files import disk_errors, folder_beside

REQUIRED = ("gradio", "onnxruntime", "av", "numpy", "opencv-python-headless")

_MARK = "space.json"
_OURS = frozenset(
    ("README.md", "requirements.txt", "app.py", _MARK, "models", "examples", "segsweep", LICENCE, ".gitattributes")
)
_ROOTS = ("segsweep.deploy.app", "segsweep.deploy.app_server")

_APP = '''"""The demo page: `python app.py`. GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say where, as on Hugging Face."""

import json
import os
from pathlib import Path

from segsweep.deploy.app_models import Offer, Offered
from segsweep.deploy.app_server import HOST, Serving, serve

HERE = Path(__file__).resolve().parent
SPACE = json.loads((HERE / "space.json").read_text(encoding="utf-8"))

if __name__ == "__main__":
    models = tuple(Offered(model["label"], HERE / model["file"]) for model in SPACE["models"])
    offer = Offer(models, SPACE["first"], tuple(HERE / file for file in SPACE["examples"]))
    port = os.environ.get("GRADIO_SERVER_PORT")
    serving = Serving(os.environ.get("GRADIO_SERVER_NAME", HOST), int(port) if port else None)
    serve(offer, serving, lambda url: print(f"open {url}", flush=True))
'''


@dataclass(frozen=True)
class Space:
    """What was written.

    Attributes:
        out: The folder.
        models: Labels of its models.
        examples: How many examples it has.
        size_bytes: Of all its files.
    """

    out: Path
    models: tuple[str, ...]
    examples: int
    size_bytes: int

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "schema": 1,
            "out": str(self.out),
            "models": list(self.models),
            "examples": self.examples,
            "size_bytes": self.size_bytes,
        }

    def to_text(self) -> str:
        """For a terminal."""
        return "\n".join(
            [
                f"{self.out}: {len(self.models)} models, {self.examples} examples, {self.size_bytes / 1e6:.1f} MB",
                f"try it: pip install -r {self.out}/requirements.txt && python {self.out}/app.py",
                f"publish it: hf upload USER/NAME {self.out} --repo-type space",
            ]
        )


def write_space(offer: Offer, out: Path) -> Space:
    """Write the folder whole, or leave what was there.

    Args:
        offer: What the page shows.
        out: The folder: missing, empty, or one that this command wrote, which is replaced.

    Raises:
        ConfigError: A model is none, an example is no image, or `out` holds something else.
        StorageError: It cannot be written.
    """
    out = out.resolve()
    _check_ours(out)
    Shelf(offer.models, 1)  # what is no model is told now, not where it is published
    with disk_errors(str(out)), folder_beside(out) as work:
        made = work / "made"
        _fill(made, offer)
        if out.exists():
            out.rename(work / "before")
        made.rename(out)
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return Space(out, tuple(model.label for model in offer.models), len(offer.examples), size)


def modules_of(roots: Sequence[str], package: Path = PACKAGE) -> list[Path]:
    """The files of the modules that these import when they are imported, themselves and their packages among them.

    Imports inside functions are left out: they are those that the page can do without.

    Args:
        roots: Full names of modules.
        package: Folder of the package `segsweep`.

    Returns:
        Paths relative to the package's folder, sorted.
    """
    waiting, found = list(roots), set()
    while waiting:
        name = waiting.pop()
        parts = name.split(".")[1:]
        file = Path(*parts, "__init__.py") if (package / Path(*parts)).is_dir() else Path(*parts).with_suffix(".py")
        if file in found or not (package / file).is_file():  # what is imported from a module may be no module
            continue
        found.add(file)
        waiting += [name.rpartition(".")[0]] if parts else []
        waiting += _imports(package / file)
    return sorted(found)


def _imports(file: Path) -> list[str]:
    names: list[str] = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name == "segsweep" or name.startswith("segsweep.")]


def _check_ours(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(Problem("--space", "a file is in the way of the folder", value=str(out)))
    found = {path.name for path in out.iterdir()}
    strange = sorted(found - _OURS) if _MARK in found else sorted(found)
    if strange:
        rule = f"must be a new folder, or one that holds only what this command wrote: here is {shortened(strange)}"
        raise ConfigError(Problem("--space", rule, value=str(out), fix="name another folder"))


def _fill(folder: Path, offer: Offer) -> None:
    models = [
        (model.label, f"models/{name}", model.path) for model, name in zip(offer.models, _names(offer), strict=True)
    ]
    examples = [
        (f"examples/{name}", path) for name, path in zip(overlay_names(offer.examples), offer.examples, strict=True)
    ]
    for name in ("models", "examples"):
        (folder / name).mkdir(parents=True)
    for _, file, path in models:
        shutil.copyfile(path, folder / file)
    for file, path in examples:
        (folder / file).write_bytes(encode_jpeg(read_image(path)))
    for module in modules_of(_ROOTS):
        (folder / "segsweep" / module).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACKAGE / module, folder / "segsweep" / module)
    facts = {
        "schema": 1,
        "segsweep_version": segsweep.__version__,
        "first": offer.first,
        "models": [{"label": label, "file": file} for label, file, _ in models],
        "examples": [file for file, _ in examples],
    }
    pins = {name: version(name) for name in REQUIRED}
    texts = {
        _MARK: json.dumps(facts, indent=1, ensure_ascii=False) + "\n",
        "app.py": _APP,
        "requirements.txt": "".join(f"{name}=={pin}\n" for name, pin in pins.items()),
        "README.md": _readme([label for label, _, _ in models], pins["gradio"]),
        ".gitattributes": "*.onnx filter=lfs diff=lfs merge=lfs -text\n",
    }
    if (licence := licence_text()) is not None:
        texts[LICENCE] = licence
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _names(offer: Offer) -> list[str]:
    """A plain file name for each model, by its place and its label."""
    plain = [re.sub(r"[^A-Za-z0-9.]+", "-", model.label).strip("-.")[:60] for model in offer.models]
    return [f"{number}-{name}.onnx" for number, name in enumerate(plain, start=1)]


def _readme(labels: Sequence[str], gradio: str) -> str:
    listed = "\n".join(f"- {label}" for label in labels)
    return f"""---
title: segsweep
emoji: 🔍
colorFrom: green
colorTo: indigo
sdk: gradio
sdk_version: {gradio}
python_version: "3.11"
app_file: app.py
license: agpl-3.0
pinned: false
---

# segsweep

Objects and their masks in images, films and camera pictures, by YOLOv8-seg models that `segsweep` found:

{listed}

On one's own machine: `pip install -r requirements.txt`, then `python app.py`.

Everything here, the weights included, is under the AGPL-3.0: the models are made with
[Ultralytics YOLOv8](https://github.com/ultralytics/ultralytics), and `segsweep/` holds the program's own modules.
"""
