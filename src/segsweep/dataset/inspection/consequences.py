"""What training and `prepare` do with each thing that can be the matter with a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segsweep.dataset.cleaning import repair
from segsweep.dataset.inspection import look

TINY_PX = 4.0  # the mask grid of YOLOv8-seg is a quarter of the input: less than one of its cells

TINY = f"objects smaller than {TINY_PX:g}x{TINY_PX:g} pixels at {look.TRAINING_PX}"
HIDDEN = "objects of which another covers more than half"
TWINS = "objects of one class that are nearly the same"
CROWDS = "crowd regions"
PARTS = "objects in several parts"
HOLES = "objects with holes"
EMPTY_CLASS = "classes without an object"
UNTRAINED_CLASS = "classes that train does not show"
LEAK = "the same scene in several of the given splits"
NEAR = "near-duplicates within a split"
BOXES = "images whose label rows are boxes"

HIDDEN_SHARE = 0.5
TWIN_IOU = 0.9


@dataclass(frozen=True)
class Consequence:
    """What becomes of it.

    Attributes:
        training: What Ultralytics does, trained on the dataset as it is; empty where it depends.
        prepare: What `segsweep prepare` does.
    """

    training: str
    prepare: str


_MENDED = "mends it, and lists it in cleaning.csv"
_REFUSED = "refuses the dataset until it is mended"
UNKNOWN_FAULT = Consequence("", _REFUSED)
UNKNOWN_REPAIR = Consequence("", "goes on, and says so in the manifest")

CONSEQUENCES: Mapping[str, Consequence] = {
    look.UNREADABLE: Consequence(
        "leaves the image and its objects out, with a line in the log; at a broken BMP it ends with an error",
        "refuses the dataset, or leaves them out with --drop-unreadable",
    ),
    look.WRONG_SIZE: Consequence("takes no notice: outlines may land elsewhere", _REFUSED),
    look.MISLABELLED: Consequence("reads it by its content; a GIF is left out", "reads it by its content, writes JPEG"),
    look.TOO_SMALL: Consequence("leaves the image and its objects out", "enlarges it to --imgsz"),
    look.TURNED: Consequence(
        "turns the image upright: labels that were drawn on it as it lay land elsewhere",
        "turns it upright; leaves it as it lies where the annotations state that size",
    ),
    look.GREY_IMAGE: Consequence("repeats grey in three channels", "does the same, and lists it in cleaning.csv"),
    look.PALETTE_IMAGE: Consequence("looks the colours up", "does the same, and lists it in cleaning.csv"),
    look.CMYK_IMAGE: Consequence(
        "converts it without its colour profile: colours shift", "does the same, and lists it in cleaning.csv"
    ),
    look.ALPHA: Consequence(
        "drops the transparency: what was invisible is seen", "does the same, and lists it in cleaning.csv"
    ),
    look.DEEP: Consequence("keeps the high byte: dark images turn black", "scales it to 8 bits"),
    look.TRAILING: Consequence("overwrites your file, compressed again", "reads it as it is, touches nothing"),
    TINY: Consequence("keeps them; they are below one cell of its mask grid", "keeps them, lists them in the manifest"),
    HIDDEN: Consequence("gives shared pixels to the smaller object; the larger one loses them", "keeps both"),
    TWINS: Consequence("trains on both, of which one can only be wrong", "removes those that are the same"),
    CROWDS: Consequence(
        "cannot tell them: its own converter leaves them out and teaches background there",
        "leaves them out, and says so in the manifest",
    ),
    PARTS: Consequence("its own converter joins the parts by lines", "joins them by bridges without area"),
    HOLES: Consequence("its own converter fills them where it reads masks", "keeps them, by bridges without area"),
    EMPTY_CLASS: Consequence("trains an output that never fires", "refuses the dataset until the class is removed"),
    UNTRAINED_CLASS: Consequence("never learns it; it counts as 0", "refuses; --split deals anew"),
    LEAK: Consequence(
        "does not see it: the splits are not independent, and what is measured comes out too high",
        "leaves out the same picture, first in train, then in val; --split deals anew and keeps scenes together",
    ),
    NEAR: Consequence("counts one scene several times", "keeps them in one split"),
    BOXES: Consequence("refuses the whole split: not every object has a polygon", _REFUSED),
    # What cleaning mends.
    repair.CLIPPED: Consequence("cuts them at the edge when it draws them, not in their boxes", _MENDED),
    repair.OUTSIDE: Consequence("leaves the whole image out, or keeps them without a pixel", _MENDED),
    repair.UNTANGLED: Consequence("fills them by the even-odd rule: where they cross twice is a hole", _MENDED),
    repair.TANGLED: Consequence("fills them by the even-odd rule", "leaves them as they are, and says so"),
    repair.POINTS_REMOVED: Consequence("takes no notice", _MENDED),
    repair.WOUND: Consequence("takes no notice", _MENDED),
    repair.FLAT_PARTS: Consequence("takes no notice", _MENDED),
    repair.FLAT: Consequence("keeps them as objects that no mask can match", _MENDED),
    repair.DUPLICATES: Consequence("removes equal rows, keeps what differs in a digit or in the order", _MENDED),
    repair.NOT_NUMBERS: Consequence("leaves the whole image out", _MENDED),
    # What readers mend or leave out.
    "images named by two splits, kept in the first": Consequence("trains and validates on the same image", _MENDED),
    "data.yaml names a folder that is not there": Consequence(
        "ends with an error if it is train or val", "splits all images anew where a split is missing"
    ),
    "data.yaml names a folder without images": Consequence(
        "ends with an error if it is train or val", "splits all images anew where a split is missing"
    ),
    "linked folders not followed, name them in data.yaml": Consequence(
        "follows the link, and trains on what is there", "leaves out what is there, and says so"
    ),
    "images without a label file taken as background": Consequence(
        "teaches that the image shows nothing", "does the same, and says so in the manifest"
    ),
    "duplicate rows removed": Consequence("removes them, with a line in the log", _MENDED),
    "duplicate annotations removed": Consequence("its own converter removes them", _MENDED),
    "polygons without area removed": Consequence("keeps them as objects that no mask can match", _MENDED),
    "masks without a pixel removed": Consequence("its own converter makes boxes of them", _MENDED),
    "coordinates up to 1 % outside the image moved to its edge": Consequence("cuts them at the edge", _MENDED),
    "categories that are only a supercategory left out": Consequence("trains an output that never fires", _MENDED),
}


def consequence_of(rule: str, *, is_fault: bool = False) -> Consequence:
    """What becomes of what breaks `rule`."""
    return CONSEQUENCES.get(rule, UNKNOWN_FAULT if is_fault else UNKNOWN_REPAIR)
