"""The demo page: images, films and a camera through exported models. The only module that imports Gradio.

`segsweep.deploy.app_server` sets Gradio's environment before it imports this module, and serves the page.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.data_classes import ImageData
from starlette.middleware import Middleware

import segsweep
from segsweep.dataset.pictures.picture import encode_jpeg
from segsweep.deploy.app_film import Films, Wishes
from segsweep.deploy.app_guard import Guard
from segsweep.deploy.app_limits import FILM_RULE, IMAGE_RULE, MAX_UPLOAD_BYTES, decode_image, read_image
from segsweep.deploy.app_models import Shelf
from segsweep.deploy.app_view import COLUMNS, look
from segsweep.deploy.overlay import OPACITY
from segsweep.errors import ConfigError, Problem, SegsweepError
from segsweep.inference.letterbox import Image

CONF = 0.45  # as the other commands have it
KEPT_S = 1800  # what a visitor brought and what was made of it is deleted after so long
SWEPT_S = 60  # how often

_FONTS = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace"]
_CSS = """
.gradio-container { width: 100%; max-width: min(1280px, 100vw) !important; margin: 0 auto !important; }
.gradio-container .contain, .gradio-container .row, .gradio-container .column, .gradio-container .tabs { min-width: 0; }
@media (max-width: 640px) { .gradio-container .app { padding: 16px !important; } }
.about, .about p { font-size: 14px; color: var(--body-text-color-subdued); overflow-wrap: anywhere; }
"""
_ABOUT = f"""
segsweep {segsweep.__version__}. Licence: [AGPL-3.0](https://www.gnu.org/licenses/agpl-3.0.html), the weights too: they
are [YOLOv8](https://github.com/ultralytics/ultralytics) models. Whoever offers this page over a network owes its
visitors the source: it is the file below. What is uploaded stays on the machine that serves this page, for at most
{KEPT_S // 60} minutes.
"""
_BUTTONS = ["download", "fullscreen"]  # without "share", which uploads to elsewhere
_HEIGHT_PX = 360
_WAITING = 32  # visitors' wishes that may wait; more are turned away
_CAMERA_S = 0.2  # between two pictures of a camera


@dataclass(frozen=True)
class Page:
    """What the page is made of.

    Attributes:
        shelf: The models.
        first: Label of the model that is chosen at first.
        examples: Image files to try, inside a folder that Gradio serves.
        source: Archive of the program's source, in such a folder.
        films: Makes overlay films.
    """

    shelf: Shelf
    first: str
    examples: Sequence[Path]
    source: Path
    films: Films

    def see(self, upload: str | None, *settings: Any) -> tuple[Image | None, list[list[Any]], str]:
        """Overlay, table and summary of an uploaded image; of what cannot be read, what is wrong with it."""
        if upload is None:
            return None, [], ""
        try:
            return self._look(read_image(Path(upload)), *settings)
        except SegsweepError as exc:
            gr.Warning(str(exc), title="Not this image")
            return None, [], str(exc)

    def watch(self, picture: Image | None, *settings: Any) -> tuple[Image | None, str]:
        """Overlay and summary of a camera's picture."""
        if picture is None:
            return None, ""
        overlay, _, summary = self._look(picture, *settings)
        return overlay, summary

    def film(self, upload: str | None, *settings: Any, progress: Any) -> tuple[str | None, str]:
        """Overlay film and its figures; of what cannot be read, what is wrong with it."""
        if upload is None:
            return None, "Choose a film first."
        label, conf, classes, opacity = settings

        def show(done: int, total: int | None, dropped: int) -> None:
            progress((done, total), desc="pictures", unit="pictures")

        try:
            wishes = Wishes(conf, classes, opacity)
            path, text = self.films.segment(Path(upload), self.shelf.path(label), wishes, show)
        except SegsweepError as exc:
            gr.Warning(str(exc), title="Not this film")
            return None, str(exc)
        return str(path), text

    def _look(
        self, image: Image, label: str, conf: float, classes: Sequence[str], opacity: float
    ) -> tuple[Image, list[list[Any]], str]:
        view = look(image, self.shelf.predictor(label, conf, classes), opacity)
        return view.overlay, view.rows, view.summary


def build(page: Page) -> gr.Blocks:
    """The page, not yet served."""
    with gr.Blocks(title="segsweep", analytics_enabled=False, delete_cache=(SWEPT_S, KEPT_S)) as blocks:
        gr.Markdown("# segsweep\nObjects and their masks, found by the model of your choice.")
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                settings = _settings(page)
            with gr.Column(scale=3, min_width=280), gr.Tabs():
                with gr.Tab("Image"):
                    _image_tab(page, settings)
                with gr.Tab("Film"):
                    _film_tab(page, settings)
                with gr.Tab("Camera"):
                    _camera_tab(page, settings)
        gr.Markdown(_ABOUT, elem_classes="about")
        gr.DownloadButton("Source code of this page (zip)", value=str(page.source), size="sm")
    blocks.queue(max_size=_WAITING, default_concurrency_limit=1)
    return blocks


def launch(blocks: gr.Blocks, host: str, port: int) -> str:
    """Serve the page in threads of its own; returns its address.

    Raises:
        ConfigError: It could not be served there.
    """
    theme = gr.themes.Default(primary_hue="teal", neutral_hue="slate", font=_FONTS, font_mono=_MONO)
    try:
        _, url, _ = blocks.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            pwa=False,
            enable_monitoring=False,
            run_history=False,
            footer_links=["gradio", "settings"],
            max_file_size=MAX_UPLOAD_BYTES,
            allowed_paths=[],
            app_kwargs={"middleware": [Middleware(Guard)]},
            theme=theme,
            css=_CSS,
        )
    except (OSError, ValueError) as exc:
        raise ConfigError(Problem(f"{host}:{port}", "cannot be served", value=str(exc))) from exc
    return str(url)


def _settings(page: Page) -> list[Any]:
    """Model, confidence, classes, opacity: what every tab looks with."""
    model = gr.Dropdown(list(page.shelf.labels), value=page.first, label="Model", info="Accuracy and latency, if known")
    conf = gr.Slider(0.05, 0.95, CONF, step=0.01, label="Confidence", info="Objects that score above this are shown")
    names = _choices(page, page.first)
    classes = gr.Dropdown(names, value=[], multiselect=True, label="Classes", info="All, unless some are chosen")
    opacity = gr.Slider(0.0, 1.0, OPACITY, step=0.05, label="Mask opacity")
    model.change(
        lambda label: gr.update(choices=_choices(page, label), value=[]), model, classes, api_visibility="private"
    )
    return [model, conf, classes, opacity]


def _choices(page: Page, label: str) -> list[str]:
    return list(dict.fromkeys(page.shelf.classes(label)))


def _image_tab(page: Page, settings: list[Any]) -> None:
    with gr.Row():
        sources = ["upload", "clipboard"]
        upload = gr.Image(
            label="Image",
            placeholder=f"Drop an image here\n- or -\nclick to choose one\n{IMAGE_RULE}",
            sources=sources,
            type="filepath",
            image_mode=None,
            height=_HEIGHT_PX,
        )
        upload.preprocess = _path  # Gradio's own opens the file with Pillow, whatever it is and however large
        overlay = _shown("overlay")
    summary = gr.Textbox(label="Result", interactive=False, lines=2)
    table = gr.Dataframe(
        headers=list(COLUMNS), label="Objects, best first; boxes in pixels", interactive=False, elem_id="objects"
    )
    if page.examples:
        gr.Examples([[str(path)] for path in page.examples], [upload], label="Examples", cache_examples=False)
    gr.on(
        [upload.change, *(setting.change for setting in settings)],
        page.see,
        [upload, *settings],
        [overlay, table, summary],
        trigger_mode="always_last",
        show_progress="minimal",
        api_visibility="private",
    )


def _film_tab(page: Page, settings: list[Any]) -> None:
    gr.Markdown(f"{FILM_RULE}.")
    with gr.Row():
        upload = gr.Video(label="Film", sources=["upload"], height=_HEIGHT_PX)
        film = gr.Video(label="What was found", interactive=False, height=_HEIGHT_PX, elem_id="film")
    start = gr.Button("Segment the film", variant="primary")
    figures = gr.Textbox(label="Result", interactive=False, lines=3)

    def run(upload: str | None, *settings: Any, progress: Any = gr.Progress()) -> tuple[str | None, str]:  # noqa: B008
        return page.film(upload, *settings, progress=progress)

    start.click(run, [upload, *settings], [film, figures], api_visibility="private")


def _camera_tab(page: Page, settings: list[Any]) -> None:
    gr.Markdown("Browsers give a camera to pages on this machine or over https only. Its pictures are not kept.")
    with gr.Row():
        camera = gr.Image(label="Camera", sources=["webcam"], streaming=True, type="numpy", height=_HEIGHT_PX)
        camera.preprocess = _frame
        overlay = _shown("camera", streaming=True)
        overlay.postprocess = _inline  # Gradio's own would keep every picture as a file
    summary = gr.Textbox(label="Result", interactive=False, lines=2)
    camera.stream(
        page.watch,
        [camera, *settings],
        [overlay, summary],
        stream_every=_CAMERA_S,
        show_progress="hidden",
        api_visibility="private",
    )


def _shown(name: str, streaming: bool = False) -> gr.Image:
    """Where an overlay is seen; its name is that of its element in the page."""
    more = {
        "streaming": streaming,
        "height": _HEIGHT_PX,
        "elem_id": name,
        "alt_text": "The image with masks drawn on it",
    }
    return gr.Image(label="What was found", format="jpeg", interactive=False, buttons=_BUTTONS, **more)


def _path(payload: Any) -> str | None:
    return None if payload is None else payload.path


def _inline(overlay: Image | None) -> Any:
    """An RGB overlay as Gradio sends it, inside the message."""
    if overlay is None:
        return None
    data = encode_jpeg(np.ascontiguousarray(overlay[:, :, ::-1]))
    return ImageData(url=f"data:image/jpeg;base64,{base64.b64encode(data).decode()}", orig_name="camera.jpg")


def _frame(payload: Any) -> Image | None:
    """A camera's picture, which comes inside the message or as an upload, within the limits of uploads."""
    if payload is None:
        return None
    address = payload.url or ""
    try:
        if address.startswith("data:"):
            return decode_image(base64.b64decode(address.partition(",")[2], validate=True), "the camera's picture")
        return read_image(Path(payload.path))
    except (SegsweepError, binascii.Error, TypeError):
        return None
