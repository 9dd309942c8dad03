"""The names of the raw formats, for whoever only lists them: importing this imports nothing."""

# Those of `registry`, in its order.
FORMAT_NAMES = ("yolo", "coco", "labelme", "cityscapes", "mask_png")
