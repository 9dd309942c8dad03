"""`segsweep app`: the demo page served on this machine, and nothing left of it afterwards."""

from __future__ import annotations

import errno
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

from segsweep.dataset.pictures.picture import encode_jpeg
from segsweep.deploy.app_film import Films
from segsweep.deploy.app_limits import read_image
from segsweep.deploy.app_models import Offer, Shelf
from segsweep.deploy.app_source import write_source
from segsweep.deploy.image_files import overlay_names
from segsweep.errors import ConfigError, Problem
from segsweep.inference.machine import available_cpus
from segsweep.storage.files import disk_errors, folder_beside, write_whole

HOST = "127.0.0.1"
PORTS = range(7860, 7960)  # Gradio's own

_FILM_END_S = 20.0  # how long a film that is being made may take to end
_PORT_TAKEN = (errno.EADDRINUSE, errno.EACCES)


@dataclass(frozen=True)
class Serving:
    """Where and how.

    Attributes:
        host: Address to listen on; everything but this machine's own is reachable by others.
        port: None takes the first of `PORTS` that is free.
        threads: CPU threads of a network; one a core where None.
    """

    host: str = HOST
    port: int | None = None
    threads: int | None = None

    @property
    def is_local(self) -> bool:
        """Whether this machine alone can reach the page."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def serve(offer: Offer, serving: Serving, ready: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    What visitors bring, and what is made of it, lies in a folder of this process, which goes with it; a killed
    process's folder goes when the next one starts.

    Args:
        offer: What it shows.
        serving: Where.
        ready: Told the page's address when it can be opened.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ConfigError: A model is none, an example is no image, or address or port cannot be used.
        StorageError: The temporary folder cannot be written.
    """
    if serving.threads is not None and serving.threads < 1:
        raise ConfigError(Problem("--threads", "must be at least 1", value=str(serving.threads)))
    port = find_port(serving.host, serving.port)
    shelf = Shelf(offer.models, serving.threads or available_cpus())
    base = Path(tempfile.gettempdir()) / f"segsweep-app-{os.getuid()}"
    with _until_told() as told, disk_errors(str(base.parent)), folder_beside(base) as folder:
        kept = folder / "page"
        kept.mkdir()
        examples = _copies(offer.examples, kept)
        write_source(kept / "segsweep-source.zip")
        _set_environment(folder)
        import gradio  # noqa: PLC0415  (reads its environment at import)

        from segsweep.deploy import app  # noqa: PLC0415  (imports Gradio)

        gradio.set_static_paths([kept])
        films = Films(folder)
        blocks = app.build(app.Page(shelf, offer.first, examples, kept / "segsweep-source.zip", films))
        try:
            ready(app.launch(blocks, serving.host, port))
            while not told.wait(app.SWEPT_S):
                sweep(folder, kept, app.KEPT_S, time.time())
        finally:
            films.end(_FILM_END_S)
            blocks.close(verbose=False)


def find_port(host: str, port: int | None) -> int:
    """The port that is asked for, or the first of `PORTS` that is free.

    Raises:
        ConfigError: It is taken, none is free, or there is no such address here.
    """
    if port is not None and not 1 <= port <= 65535:
        raise ConfigError(Problem("--port", "must be from 1 to 65535", value=str(port)))
    for candidate in PORTS if port is None else [port]:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as exc:
            if exc.errno not in _PORT_TAKEN:
                rule = "must be an address of this machine"
                raise ConfigError(
                    Problem("--host", rule, value=host, fix=f"{HOST} is reachable from here alone")
                ) from exc
            continue
        return candidate
    if port is None:
        raise ConfigError(Problem("--port", f"none of {PORTS.start} to {PORTS.stop - 1} is free", fix="name another"))
    fix = "end what uses it, or leave --port out: the next free one is taken"
    raise ConfigError(Problem("--port", "is taken, or may not be used", value=str(port), fix=fix))


def sweep(folder: Path, kept: Path, age_s: float, now_s: float) -> None:
    """Delete the files below a folder that are older, also those that Gradio forgot, of uploads that broke off.

    Args:
        folder: Of all uploads.
        kept: A folder in it that stays.
        age_s: How old a file must be.
        now_s: Seconds since the epoch.
    """
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file() and kept not in path.parents and now_s - path.lstat().st_ctime > age_s:
                path.unlink()


def _copies(examples: Sequence[Path], kept: Path) -> list[Path]:
    """The examples as fresh JPEGs: without the places and names that photographs carry, and all known to be images."""
    copies = [kept / "examples" / name for name in overlay_names(examples)]
    for example, copy in zip(examples, copies, strict=True):
        write_whole(copy, encode_jpeg(read_image(example)))
    return copies


def _set_environment(folder: Path) -> None:
    """Gradio's: files in our folder, no figures about its use, no way through a proxy to its own server."""
    local = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1", "localhost"]))
    os.environ.update(
        GRADIO_TEMP_DIR=str(folder),
        GRADIO_EXAMPLES_CACHE=str(folder / "cached"),
        GRADIO_ANALYTICS_ENABLED="False",
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HUB_OFFLINE="1",
        NO_PROXY=local,
        no_proxy=local,
    )


@contextmanager
def _until_told() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second Ctrl-C interrupts."""
    told = threading.Event()

    def tell(number: int, frame: FrameType | None) -> None:
        told.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
