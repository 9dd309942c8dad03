"""Names of the reported quantities. Upstream spellings are written here and nowhere else."""

from __future__ import annotations

OBJECTIVE = "mask_map50_95"

# Ultralytics' key -> ours. (B) is boxes, (M) is masks.
FROM_ULTRALYTICS = {
    "metrics/precision(B)": "box_precision",
    "metrics/recall(B)": "box_recall",
    "metrics/mAP50(B)": "box_map50",
    "metrics/mAP50-95(B)": "box_map50_95",
    "metrics/precision(M)": "mask_precision",
    "metrics/recall(M)": "mask_recall",
    "metrics/mAP50(M)": "mask_map50",
    "metrics/mAP50-95(M)": OBJECTIVE,
    "train/box_loss": "train_box_loss",
    "train/seg_loss": "train_seg_loss",
    "train/cls_loss": "train_cls_loss",
    "train/dfl_loss": "train_dfl_loss",
    "val/box_loss": "val_box_loss",
    "val/seg_loss": "val_seg_loss",
    "val/cls_loss": "val_cls_loss",
    "val/dfl_loss": "val_dfl_loss",
}

# Columns of every metrics.csv, in order; learning rates of further parameter groups follow as lr_pg<i>.
EPOCH_COLUMNS = ("epoch", "seconds", "batch", *FROM_ULTRALYTICS.values())
