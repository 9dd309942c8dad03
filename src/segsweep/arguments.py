"""What each command takes, and what its help says about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segsweep.dataset.formats.names import FORMAT_NAMES


def add_dataset_arguments(sample: Any, prepare: Any) -> None:
    """Of `sample` and `prepare`."""
    sample.add_argument("dir", type=Path, metavar="DIR", help="folder to write; must be empty or absent")
    sample.add_argument("--format", required=True, choices=FORMAT_NAMES, help="raw dataset format")
    sample.add_argument("--images", type=int, default=96, metavar="N", help="number of images")
    sample.add_argument("--imgsz", type=int, default=128, metavar="N", help="side of the square images, in pixels")
    sample.add_argument("--seed", type=int, default=0, metavar="S", help="of everything that is drawn")
    prepare.add_argument("src", type=Path, metavar="SRC", help="folder or file of the raw dataset")
    prepare.add_argument("--to", required=True, metavar="URI", help="folder or s3:// prefix that holds bundles")
    prepare.add_argument("--format", choices=FORMAT_NAMES, help="raw dataset format; recognised where absent")
    prepare.add_argument("--classes", metavar="A,B,...", help="classes to take, where the format has a choice")
    prepare.add_argument("--name", help="the bundle's name; the source folder's where absent")
    prepare.add_argument("--imgsz", type=int, default=640, metavar="N", help="longest side of the images, in pixels")
    prepare.add_argument("--resize", default="longest", metavar="MODE", help="longest, stretch, letterbox or tile")
    prepare.add_argument("--overlap", type=float, default=0.2, metavar="X", help="of neighbouring tiles, as a share")
    prepare.add_argument("--split", metavar="A,B,C", help="ratios of train, val, test; given splits are kept if absent")
    prepare.add_argument("--seed", type=int, default=0, metavar="S", help="of the split and of augmented copies")
    prepare.add_argument("--group", metavar="PATTERN", help="images whose names match it alike stay in one split")
    prepare.add_argument("--augment", type=Path, metavar="FILE", help="augmentations; copies are written into train")
    prepare.add_argument("--drop-empty", action="store_true", help="leave out images without an object")
    prepare.add_argument("--drop-unreadable", action="store_true", help="leave out images that cannot be read")
    prepare.add_argument("--keep-duplicates", action="store_true", help="do not look for near-duplicates")
    prepare.add_argument("--min-area", type=float, default=16.0, metavar="PX", help="list objects smaller than this")
    prepare.add_argument("--workers", type=int, metavar="N", help="processes; one a core where absent")


def add_inspect_arguments(inspect: Any) -> None:
    """Of `inspect`."""
    inspect.add_argument("src", type=Path, metavar="SRC", help="folder or file of the raw dataset")
    inspect.add_argument("--format", choices=FORMAT_NAMES, help="raw dataset format; recognised where absent")
    inspect.add_argument("--html", type=Path, metavar="FILE", help="write one page with pictures")


def add_convert_arguments(convert: Any) -> None:
    """Of `convert`."""
    convert.add_argument("src", type=Path, metavar="SRC", help="folder or file of the raw dataset")
    convert.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder to write; empty or absent")
    convert.add_argument("--format", required=True, choices=FORMAT_NAMES, help="format to write")
    convert.add_argument("--from", dest="source", choices=FORMAT_NAMES, help="format of SRC; recognised where absent")
    convert.add_argument("--classes", metavar="A,B,...", help="classes to take, where the format of SRC has a choice")


def add_evaluate_arguments(evaluate: Any) -> None:
    """Of `evaluate`."""
    text = "ONNX files, folders of `segsweep export`, checkpoints (.pt), runs: of each size the best trial by val"
    evaluate.add_argument("models", nargs="+", metavar="MODEL|RUN", help=text)
    evaluate.add_argument("--data", required=True, metavar="BUNDLE", help="the bundle's folder or URI")
    evaluate.add_argument("--split", default="test", metavar="SPLIT", help="train, val or test")
    text = "folder for the page index.html, evaluation.json, truth and predictions"
    evaluate.add_argument("--out", type=Path, metavar="DIR", help=text)
    text = "classes that are called otherwise in the bundle, MODEL_CLASS=BUNDLE_CLASS; all others are matched by name"
    evaluate.add_argument("--classes", metavar="A=B,...", help=text)
    text = (
        "judge by Cityscapes' own metric too, against its original labels (gtFine) there; needs the extra `cityscapes`"
    )
    evaluate.add_argument("--cityscapes", type=Path, metavar="DIR", help=text)
    evaluate.add_argument(
        "--imgsz", type=int, metavar="N", help="input of checkpoints in pixels; the bundle's if absent"
    )
    evaluate.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads")
    evaluate.add_argument("--resamples", type=int, default=1000, metavar="N", help="draws of the bootstrap, 0 for none")


def add_predict_arguments(predict: Any) -> None:
    """Of `predict`."""
    predict.add_argument("model", type=Path, metavar="MODEL", help="an ONNX file, or the folder of `segsweep export`")
    predict.add_argument("images", nargs="+", metavar="IMAGES", help="files, folders with all below them, patterns")
    predict.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    predict.add_argument("--conf", type=float, default=0.45, metavar="X", help="smallest score of an object")
    predict.add_argument("--iou", type=float, default=0.7, metavar="X", help="overlap at which one of two boxes goes")
    predict.add_argument("--classes", metavar="A,B,...", help="classes to look for, by name or index; all where absent")
    predict.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads")
    predict.add_argument("--crops", action="store_true", help="write a picture of every object too")


def add_compare_arguments(compare: Any) -> None:
    """Of `compare`."""
    text = "ONNX files, folders of `segsweep export`, checkpoints (.pt) that Ultralytics runs with torch"
    compare.add_argument("models", nargs="+", type=Path, metavar="MODEL", help=text)
    compare.add_argument("images", metavar="IMAGES", help="a file, a folder with all below it, or a quoted pattern")
    compare.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    compare.add_argument("--threads", default="1,2", metavar="N,M,...", help="CPU threads to try")
    compare.add_argument("--rounds", type=int, default=3, metavar="N", help="fresh processes for each configuration")
    compare.add_argument("--conf", type=float, default=0.45, metavar="X", help="smallest score of an object")
    compare.add_argument("--reference", type=Path, metavar="MODEL", help="agree with this one; the first where absent")


def add_job_arguments(*commands: Any) -> None:
    """Of commands that read a job."""
    for command in commands:
        command.add_argument("job", type=Path, metavar="JOB", help="the job's YAML, e.g. jobs/demo.yaml")
        text = "change a value of the job, or of its space with search_space.NAME=...; repeatable"
        command.add_argument("--set", dest="sets", action="append", default=[], metavar="a.b=value", help=text)


def add_run_arguments(status: Any, report: Any, export: Any, replay: Any) -> None:
    """Of commands that read a run."""
    for command in (status, report, export, replay):
        command.add_argument("run", metavar="RUN", help="the run's folder or URI: <storage>/<name> of the job")
    replay.add_argument("--trial", required=True, metavar="ID", help="the trial, e.g. t0007")
    replay.add_argument("--epochs", type=int, metavar="N", help="train so many epochs at most; all where absent")
    report.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for index.html, facts.json, ...")
    text = "further points: the finalists in fp16, int8, as exported; repeatable (default: fp32)"
    report.add_argument("--precision", action="append", metavar="A,B,...", help=text)
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the model")
    for command in (report, export):
        command.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads for the timing")
    choice = export.add_mutually_exclusive_group()
    choice.add_argument("--trial", metavar="ID", help="this trial")
    choice.add_argument("--variant", choices=("n", "s", "m", "l", "x"), help="the best trial of this size")
    choice.add_argument("--max-latency-ms", type=float, metavar="X", help="the most accurate one this fast (p50)")
    choice.add_argument("--knee", action="store_true", help="the knee of the front (the default)")
    text = "fp32, fp16, int8: further files, e.g. model-int8.onnx, compared with model.onnx; repeatable (default: fp32)"
    export.add_argument("--precision", action="append", metavar="A,B,...", help=text)
    text = "further files whose batch, height and width are the caller's, e.g. model-dynamic.onnx"
    export.add_argument("--dynamic", action="store_true", help=text)
    export.add_argument("--nms", action="store_true", help="further files with NMS inside, e.g. model-nms.onnx")


def add_check_arguments(check: Any) -> None:
    """Of `check`, beyond the job's."""
    text = "ask this cluster's YAML, which need not run, in place of the machines that are there: fit, hours and price"
    check.add_argument("--cluster", type=Path, metavar="FILE", help=text)


def add_submit_arguments(submit: Any) -> None:
    """Of `submit`, beyond the job's."""
    where = submit.add_mutually_exclusive_group(required=True)
    where.add_argument("--cluster", type=Path, metavar="FILE", help="the cluster's YAML, e.g. cluster.yaml")
    text = "job server that can be reached already, e.g. http://127.0.0.1:8265 through `ray dashboard`"
    where.add_argument("--address", metavar="URL", help=text)
    instead = submit.add_mutually_exclusive_group()
    instead.add_argument("--detach", action="store_true", help="do not wait for the log")
    instead.add_argument("--logs", action="store_true", help="only show the log of the run's latest job")
    instead.add_argument("--stop", action="store_true", help="end the job of this run in order, checkpoints kept")


def add_video_arguments(video: Any) -> None:
    """Of `video`."""
    video.add_argument("model", type=Path, metavar="MODEL", help="an ONNX file, or the folder of `segsweep export`")
    video.add_argument("source", metavar="VIDEO", help="a file, a camera's number, e.g. 0, or a URL, e.g. rtsp://...")
    video.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the film: .mp4, .mov, .mkv, .avi, .webm"
    )
    video.add_argument("--conf", type=float, default=0.45, metavar="X", help="draw what scores above this, 0-1")
    video.add_argument("--classes", metavar="A,B,...", help="classes to look for, by name or index; all where absent")
    video.add_argument("--frames", type=int, metavar="N", help="stop after so many pictures of the source")
    video.add_argument("--threads", type=int, metavar="N", help="of the network; one a core where absent")
    video.add_argument("--show", action="store_true", help="show the pictures meanwhile; q ends it")


def add_app_arguments(app: Any) -> None:
    """Of `app`."""
    app.add_argument(
        "models",
        nargs="+",
        metavar="MODEL-or-RUN",
        help="ONNX files, folders of `segsweep export`, or runs (the models of their front)",
    )
    app.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets other machines in")
    app.add_argument("--port", type=int, metavar="N", help="the first free one from 7860 on where absent")
    app.add_argument("--threads", type=int, metavar="N", help="of a network; one a core where absent")
    app.add_argument(
        "--examples",
        nargs="+",
        default=[],
        metavar="IMAGES",
        help="images to try: files, folders, patterns, at most 12; of a run its test images where absent",
    )
    app.add_argument(
        "--space",
        type=Path,
        metavar="DIR",
        help="serve nothing, but write a folder that can be published as a Hugging Face Space",
    )
