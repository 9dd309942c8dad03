"""segsweep: sweep YOLOv8-seg over a Ray cluster, see the accuracy-versus-speed front, ship the model you choose."""

__version__ = "0.1.0"
