"""One trial: fine-tune one YOLOv8-seg variant, epoch by epoch."""
