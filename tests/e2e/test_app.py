"""The demo page, started as a command and driven in a browser; the Space that it exports, likewise."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper

import browser
from films import picture, write_cat_model, write_film
from segsweep.dataset.environment import prepare_ultralytics
from segsweep.deploy.film import Film
from segsweep.inference.export import export_onnx
from shell import REPO, Shell, wait_until

if browser.is_installed():
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.remote.webdriver import WebDriver
    from selenium.webdriver.remote.webelement import WebElement

SCREENSHOTS = REPO / "build" / "screenshots"
SIZES = pytest.mark.parametrize(("width", "height"), [(1280, 1000), (390, 844)], ids=["desktop", "phone"])
WAIT_S = 90.0  # Chromium, Gradio and all else on two cores


@pytest.fixture
def chromium() -> None:
    if not browser.is_installed():
        message = "Chromium and its driver are not installed: apt-get install chromium chromium-driver"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


@dataclass(frozen=True)
class Served:
    """A page that is served: its address, its process, what the process has said, where its temporary files are."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    temporary: Path

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    def files(self) -> list[str]:
        return [path.name for path in self.temporary.rglob("*") if path.is_file()]

    def status(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Send a path exactly as it is: clients would tidy `..` away."""
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


@contextlib.contextmanager
def served(shell: Shell, folder: Path, *args: object, temporary: Path | None = None) -> Iterator[Served]:
    temporary = temporary or Path(tempfile.mkdtemp(prefix="app-", dir=folder))
    log = folder / "app.log"
    process = shell.with_env(TMPDIR=str(temporary)).start("app", *args, "--json", log=log)
    try:
        wait_until(lambda: b'"url"' in log.read_bytes() or process.poll() is not None, WAIT_S, "the page")
        assert process.poll() is None, log.read_text()
        line = next(line for line in log.read_text().splitlines() if line.startswith("{"))
        yield Served(json.loads(line)["url"], process, log, temporary)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        process.wait(WAIT_S)


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    """Sees a cat with 0.9 in the middle of every picture, and never a dog."""
    return write_cat_model(tmp_path / "cat.onnx")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "photo.jpg"), picture(0b10110, (240, 320)))
    return tmp_path / "photo.jpg"


class Visitor:
    """Somebody in front of the page."""

    def __init__(self, driver: WebDriver, url: str) -> None:
        self.driver = driver
        driver.get(url)
        self.wait(lambda: driver.find_elements(By.CSS_SELECTOR, "input[type=file]"), "the page")

    def wait(self, condition: Any, what: str) -> Any:
        found: list[Any] = []

        def is_so() -> bool:
            with contextlib.suppress(Exception):  # parts of the page are made anew meanwhile
                found[:] = [condition()]
            return bool(found and found[0])

        wait_until(is_so, WAIT_S, f"{what}: the page says {self.texts()}")
        return found[0]

    def upload(self, path: Path, kind: str = "image") -> None:
        inputs = self.driver.find_elements(By.CSS_SELECTOR, f"input[type=file][accept*={kind}]")
        inputs[0].send_keys(str(path))

    def tab(self, name: str) -> None:
        tabs = self.driver.find_elements(By.CSS_SELECTOR, "button[role=tab]")
        next(tab for tab in tabs if tab.text == name and tab.is_displayed()).click()

    def texts(self) -> list[str]:
        """What is in the boxes of results that are seen."""
        boxes = self.driver.find_elements(By.TAG_NAME, "textarea")
        return [box.get_property("value") for box in boxes if box.is_displayed()]

    def text(self, part: str) -> str:
        return self.wait(lambda: next(text for text in self.texts() if part in text), f"a text with {part!r}")

    def overlay(self) -> bytes:
        """The bytes of the picture that is shown as the result; empty where there is none."""
        images = self.driver.find_elements(By.CSS_SELECTOR, "#overlay img")
        if not images:
            return b""
        with urllib.request.urlopen(images[0].get_attribute("src")) as answer:
            return answer.read()

    def slider(self, label: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, f"input[type=range][aria-label*='{label}']")

    def reached_by_keys(self) -> set[str]:
        """What the tabulator key comes to, by the name that a screen reader says."""
        names = set()
        for _ in range(20):
            self.driver.switch_to.active_element.send_keys(Keys.TAB)
            reached = self.driver.switch_to.active_element
            names.add(reached.get_attribute("aria-label") or reached.text)
        return names

    def is_too_wide(self) -> bool:
        return self.driver.execute_script("return document.documentElement.scrollWidth > innerWidth")

    def shoot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


@SIZES
def test_a_visitor_uploads_an_image_and_moves_the_settings(
    chromium: None, shell: Shell, cat: Path, photo: Path, tmp_path: Path, width: int, height: int
) -> None:
    with served(shell, tmp_path, cat, "--examples", photo) as page, browser.chromium(width, height) as driver:
        visitor = Visitor(driver, page.url)
        assert {"Model", "Classes", "Image", "Film", "Camera", "Upload file"} <= visitor.reached_by_keys()
        visitor.upload(photo)
        assert "1 object in 320x240 pixels" in visitor.text("1 object")
        assert all(stage in visitor.texts()[0] for stage in ("prepare", "forward", "post-process"))
        visitor.wait(lambda: "cat" in driver.find_element(By.ID, "objects").text, "the table")
        shown = visitor.wait(visitor.overlay, "the overlay")
        visitor.shoot(f"image-{width}")
        assert not visitor.is_too_wide()

        visitor.slider("Mask opacity").send_keys(Keys.END)
        visitor.wait(lambda: visitor.overlay() not in (b"", shown), "another opacity")
        opaque = visitor.overlay()
        visitor.slider("Confidence").send_keys(Keys.END)
        visitor.text("0 objects")
        without = visitor.wait(lambda: visitor.overlay() not in (b"", shown, opaque) and visitor.overlay(), "no masks")
        seen = cv2.imdecode(np.frombuffer(without, np.uint8), cv2.IMREAD_COLOR)
        assert cv2.absdiff(seen, cv2.imread(str(photo))).mean() < 5  # the picture alone, compressed again

        visitor.slider("Confidence").send_keys(Keys.HOME)
        visitor.text("1 object")
        classes = driver.find_element(By.CSS_SELECTOR, "input[aria-label='Classes']")
        classes.send_keys("dog", Keys.ENTER, Keys.ESCAPE)
        visitor.text("0 objects")
        outside = [url for url in browser.requested(driver) if "//127.0.0.1:" not in url]
        assert [url for url in outside if not url.startswith("chrome")] == []


@SIZES
def test_a_visitor_has_a_film_segmented(
    chromium: None, shell: Shell, cat: Path, tmp_path: Path, width: int, height: int
) -> None:
    film = Film(tmp_path / "film.mp4", 25.0, (96, 64))
    for number in range(30):
        film.write(picture(number))
    film.finish()
    with served(shell, tmp_path, cat) as page, browser.chromium(width, height) as driver:
        visitor = Visitor(driver, page.url)
        visitor.tab("Film")
        visitor.wait(lambda: driver.find_elements(By.CSS_SELECTOR, "input[accept*=video]"), "the film's tab")
        visitor.upload(tmp_path / "film.mp4", "video")
        button = driver.find_element(By.XPATH, "//button[contains(., 'Segment the film')]")
        visitor.wait(lambda: driver.find_elements(By.TAG_NAME, "video"), "the uploaded film")
        button.click()
        assert "30 pictures, 30 objects" in visitor.text("FPS end to end")

        def plays() -> bool:
            videos = driver.find_elements(By.CSS_SELECTOR, "#film video")
            return bool(videos) and videos[0].get_property("videoWidth") == 96 and not videos[0].get_property("error")

        visitor.wait(plays, "a film that the browser plays")
        visitor.shoot(f"film-{width}")
        assert not visitor.is_too_wide()


def test_a_visitor_looks_into_the_camera(chromium: None, shell: Shell, cat: Path, tmp_path: Path) -> None:
    with served(shell, tmp_path, cat) as page, browser.chromium(1280, 1000) as driver:
        visitor = Visitor(driver, page.url)
        visitor.tab("Camera")
        access = "//button[contains(., 'Click to Access Webcam')]"
        visitor.wait(lambda: driver.find_elements(By.XPATH, access), "the camera's tab")
        driver.find_element(By.XPATH, access).click()
        record = "//button[contains(., 'Record')]"
        visitor.wait(lambda: driver.find_element(By.XPATH, record).is_displayed(), "the camera")
        driver.find_element(By.XPATH, record).click()
        visitor.text("1 object")
        visitor.wait(lambda: driver.find_elements(By.CSS_SELECTOR, "#camera img"), "the overlay")
        visitor.shoot("camera-1280")
        assert page.files() == ["segsweep-source.zip"]  # the camera's pictures are not kept, as the page says


def _png(width: int, height: int) -> bytes:
    """A PNG whose header says that it is so large; its pixels are missing."""
    small = cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes()
    header = b"IHDR" + width.to_bytes(4) + height.to_bytes(4) + small[24:29]
    return small[:12] + header + zlib.crc32(header).to_bytes(4) + small[33:]


def test_what_is_no_image_or_film_is_told_in_the_page_and_the_process_lives(
    chromium: None, shell: Shell, cat: Path, photo: Path, tmp_path: Path
) -> None:
    bad = {
        "text.jpg": (b"not an image at all\n" * 50, "is not an image that this page reads"),
        "dot.png": (_png(1, 1), "must be at least 10 pixels wide and high"),
        "huge.png": (_png(20_000, 20_000), "20000x20000: must have at most 64 megapixels"),
    }
    films = {
        "text.mp4": (b"not a film at all\n" * 50, "is not a film that this page reads"),
        "list.mp4": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "is not a film that this page reads"),
        "empty.mp4": (write_film(tmp_path / "whole.mp4", 5).read_bytes()[:36], "holds no video that can be read"),
    }
    with served(shell, tmp_path, cat) as page, browser.chromium(1280, 1000) as driver:
        for name, (data, told) in bad.items():
            (tmp_path / name).write_bytes(data)
            visitor = Visitor(driver, page.url)
            visitor.upload(tmp_path / name)
            assert name in visitor.text(told)
            assert str(page.temporary) not in visitor.text(told)
        with (tmp_path / "large.png").open("wb") as file:
            file.truncate((100 << 20) + 1)
        visitor = Visitor(driver, page.url)
        visitor.upload(tmp_path / "large.png")
        visitor.wait(lambda: "100" in driver.find_element(By.CSS_SELECTOR, ".toast-wrap, .toast-body").text, "a limit")
        visitor.shoot("too-large-1280")
        for name, (data, told) in films.items():
            (tmp_path / name).write_bytes(data)
            visitor = Visitor(driver, page.url)
            visitor.tab("Film")
            visitor.wait(lambda: driver.find_elements(By.CSS_SELECTOR, "input[accept*=video]"), "the film's tab")
            visitor.upload(tmp_path / name, "video")
            visitor.wait(lambda name=name: name in driver.page_source, "the upload")
            driver.find_element(By.XPATH, "//button[contains(., 'Segment the film')]").click()
            assert name in visitor.text(told)
        visitor = Visitor(driver, page.url)
        visitor.upload(photo)
        visitor.text("1 object")
        assert page.process.poll() is None
        assert "Traceback" not in page.log.read_text()


def _multipart(name: str, data: bytes) -> tuple[bytes, str]:
    head = f'--B\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n--B--\r\n", "multipart/form-data; boundary=B"


def test_no_path_outside_is_served_and_nothing_is_fetched(shell: Shell, cat: Path, photo: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("what nobody may read")
    with served(shell, tmp_path, cat, "--examples", photo) as page:
        body, kind = _multipart("../../mine.png", photo.read_bytes())
        status, answer = page.status("POST", "/gradio_api/upload", body, **{"Content-Type": kind})
        (mine,) = json.loads(answer)
        assert status == 200
        assert page.temporary in Path(mine).parents
        assert page.status("GET", f"/gradio_api/file={mine}")[0] == 200  # else the rest would prove nothing
        assert b"own files only" in page.status("GET", "/gradio_api/file=https://example.com/")[1]
        folder = next(page.temporary.iterdir())
        for path in (
            *(f"{secret}", "/etc/passwd", "/proc/self/environ", f"{folder}/../../secret.txt", f"/{secret}"),
            *(f"{folder}/%2e%2e/%2e%2e/secret.txt", "..%2f..%2f..%2f..%2fetc%2fpasswd", f"file://{secret}"),
            *(str(cat), f"{folder}/link", "http://127.0.0.1:1/x", "https:%2F%2Fexample.com%2F", "~/.bashrc", "."),
        ):
            (folder / "link").unlink(missing_ok=True)
            (folder / "link").symlink_to(secret)
            for route in ("/gradio_api/file=", "/file=", "/static/", "/assets/", "/gradio_api/proxy=", "/"):
                status, answer = page.status("GET", route + path)
                assert status in (403, 404, 405, 307), (route + path, status)
                assert b"nobody may read" not in answer
                assert b"root:" not in answer
        for path in (str(secret), "http://example.com/x.jpg", "HTTPS://example.com/x.jpg"):
            upload = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "x.jpg"}
            data = {"data": [upload, "cat", 0.45, [], 0.45], "fn_index": 1, "session_hash": "s"}
            page.status(
                "POST", "/gradio_api/queue/join", json.dumps(data).encode(), **{"Content-Type": "application/json"}
            )
        time.sleep(1)
        assert not {"secret.txt", "x.jpg"} & set(page.files())


def test_an_upload_over_the_limit_is_refused_by_the_server_too_and_leaves_nothing(
    shell: Shell, cat: Path, tmp_path: Path
) -> None:
    with served(shell, tmp_path, cat) as page:
        body, kind = _multipart("large.png", bytes((100 << 20) + 1))
        status = 0
        with contextlib.suppress(ConnectionError):  # it need not wait until all has been sent
            status, _ = page.status("POST", "/gradio_api/upload", body, **{"Content-Type": kind})
        assert status in (0, 413)
        assert sum(path.stat().st_size for path in page.temporary.rglob("*") if path.is_file()) < 10 << 20
        assert page.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_uploads_go_when_the_page_ends(shell: Shell, cat: Path, photo: Path, tmp_path: Path, number: int) -> None:
    with served(shell, tmp_path, cat) as page:
        body, kind = _multipart("mine.png", photo.read_bytes())
        assert page.status("POST", "/gradio_api/upload", body, **{"Content-Type": kind})[0] == 200
        assert "mine.png" in page.files()
        page.process.send_signal(number)
        assert page.process.wait(WAIT_S) == 0, page.log.read_text()
        assert list(page.temporary.iterdir()) == []
        assert "Traceback" not in page.log.read_text()


def test_uploads_of_a_killed_page_go_when_the_next_one_starts(
    shell: Shell, cat: Path, photo: Path, tmp_path: Path
) -> None:
    with served(shell, tmp_path, cat) as page:
        body, kind = _multipart("mine.png", photo.read_bytes())
        assert page.status("POST", "/gradio_api/upload", body, **{"Content-Type": kind})[0] == 200
        page.process.kill()
        page.process.wait(WAIT_S)
        assert "mine.png" in page.files()
    with served(shell, tmp_path, cat, temporary=page.temporary) as after:
        assert "mine.png" not in after.files()


def test_it_listens_here_alone_unless_asked_and_takes_the_next_port(shell: Shell, cat: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with served(shell, tmp_path, cat) as page, served(shell, tmp_path / "other", cat, "--host", "0.0.0.0") as other:
        addresses = {c.laddr.ip for c in psutil.Process(page.process.pid).net_connections() if c.status == "LISTEN"}
        assert addresses == {"127.0.0.1"}
        assert other.port != page.port
        assert "there is no password" in other.log.read_text()
        assert "password" not in page.log.read_text()
        told = shell.run("app", cat, "--port", page.port, code=2).stderr
        assert f"--port: {page.port}: is taken" in told


def test_what_is_no_model_or_no_place_is_told_with_exit_code_2(shell: Shell, cat: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (ran,)

    for name in ("payload.onnx", "payload.pt"):
        (tmp_path / name).write_bytes(pickle.dumps(Payload()))
    (tmp_path / "text.onnx").write_text("not a model")
    shape = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])
    found = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 3, 64, 64])
    node = helper.make_node("Identity", ["images"], ["output0"])
    graph = helper.make_graph([node], "detection", [shape], [found])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(tmp_path / "detection.onnx"))
    told = {
        "payload.onnx": "must be an ONNX model that onnxruntime loads",
        "payload.pt": "must be an exported model, not a checkpoint",
        "text.onnx": "must be an ONNX model that onnxruntime loads",
        "detection.onnx": "must be a YOLOv8-seg model",
        "missing.onnx": "does not exist",
    }
    for name, rule in told.items():
        stderr = shell.run("app", cat, tmp_path / name, code=2).stderr
        assert name in stderr
        assert rule in stderr
    assert not ran.exists()
    assert "must be an address of this machine" in shell.run("app", cat, "--host", "192.0.2.1", code=2).stderr
    assert "must be at least 1" in shell.run("app", cat, "--threads", 0, code=2).stderr
    assert "is not an image" in shell.run("app", cat, "--examples", tmp_path / "text.onnx", code=2).stderr


def test_files_of_models_need_nothing_that_trains_and_the_start_asks_nobody(cat: Path, tmp_path: Path) -> None:
    script = """
import json, os, signal, sys
asked = []
def hook(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple):
        asked.append(args[1][0])
    if event == "socket.getaddrinfo":
        asked.append(args[0])
sys.addaudithook(hook)
from segsweep.deploy.app_offer import make_offer
from segsweep.deploy.app_server import Serving, serve
def ready(url):
    heavy = [name for name in ("torch", "ray", "ultralytics", "plotly", "boto3") if name in sys.modules]
    asked_now = sorted({host.decode() if isinstance(host, bytes) else str(host) for host in asked})
    print(json.dumps([heavy, asked_now]), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
serve(make_offer(sys.argv[1:], [], None), Serving(), ready)
"""
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script, cat], check=False, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    heavy, asked = json.loads(done.stdout)
    assert heavy == []
    assert set(asked) <= {"127.0.0.1", "localhost"}


@pytest.fixture
def space(shell: Shell, photo: Path, cat: Path, tmp_path: Path) -> Path:
    shell.run("app", cat, "--examples", photo, "--space", tmp_path / "space")
    return tmp_path / "space"


@pytest.mark.slow(reason="installs the requirements of a Space into an empty environment")
def test_an_exported_space_starts_in_an_empty_environment(
    chromium: None, space: Path, photo: Path, tmp_path: Path
) -> None:
    elsewhere = shutil.copytree(space, tmp_path / "elsewhere")
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*install, "--constraint", REPO / "constraints.txt", "-r", elsewhere / "requirements.txt"], check=True
    )
    found = subprocess.run([python, "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True)
    assert not {"torch", "ray", "ultralytics", "segsweep"} & {line.split("==")[0] for line in found.stdout.splitlines()}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "space.log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SEGSWEEP"))}
    with log.open("wb") as out:
        environment = {**clean, "GRADIO_SERVER_PORT": str(port), "TMPDIR": str(tmp_path)}
        command = [str(python), str(elsewhere / "app.py")]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=out, env=environment)
    try:
        wait_until(lambda: b"open http" in log.read_bytes() or process.poll() is not None, WAIT_S, "the Space")
        assert process.poll() is None, log.read_text()
        for width, height in ((1280, 1000), (390, 844)):
            with browser.chromium(width, height) as driver:
                visitor = Visitor(driver, f"http://127.0.0.1:{port}/")
                visitor.upload(photo)
                visitor.text("1 object")
                visitor.wait(visitor.overlay, "the overlay")
                visitor.shoot(f"space-{width}")
                assert not visitor.is_too_wide()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(WAIT_S)


@pytest.mark.data
def test_a_real_model_finds_a_real_cat(
    chromium: None, shell: Shell, real_data: Path, node_cache: Path, tmp_path: Path
) -> None:
    prepare_ultralytics(node_cache)
    model = export_onnx(real_data / "weights" / "yolov8n-seg.pt", tmp_path / "n" / "model.onnx", 320).path
    images = sorted((real_data / "feralcat" / "test" / "images").glob("*.jpg"))[:4]
    with served(shell, tmp_path, model.parent, "--examples", *images) as page, browser.chromium(1280, 1000) as driver:
        visitor = Visitor(driver, page.url)
        visitor.upload(images[1])
        visitor.wait(visitor.overlay, "the overlay")
        visitor.slider("Confidence").send_keys(Keys.HOME)
        visitor.wait(lambda: "cat" in driver.find_element(By.ID, "objects").text, "a cat")
        visitor.shoot("real-1280")
