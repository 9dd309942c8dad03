"""EC2 machines with GPUs: what they hold and cost, and how fast and how large trials are on them, about.

Nothing here was looked up by a program: hardware and list prices are AWS's of `AS_OF` in us-east-1, written down from
memory. Speeds are guesses from FLOPs; memory was measured once (docs/gpu.md) and is scaled by pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

from segsweep.core.variants import GFLOPS, PARAMETERS_M, Variant

AS_OF = "November 2026"
SPOT_SHARE = 0.45  # of the list price, on a usual day

# Tera floating-point operations that a GPU of this kind sustains while it trains a convolutional network in mixed
# precision: an eighth to a quarter of what its data sheet says, a guess.
_SUSTAINED_TFLOPS = {"T4": 6.0, "A10G": 12.0, "L4": 10.0, "A100": 45.0, "H100": 80.0}
_BACKWARD = 3.0  # a training step costs so many forward passes

# GiB that one trial held at 1024 pixels with batch 8, reserved by torch (docs/gpu.md), and what CUDA itself takes.
_RESERVED_GIB: dict[Variant, float] = {"n": 3.8, "s": 6.3, "m": 10.0, "l": 14.8, "x": 18.5}
_MEASURED_PIXELS = 8 * 1024**2
_CUDA_GIB = 0.5
_GIB_PER_MILLION = 20e6 / 2**30  # weights, EMA, gradients and two moments, 4 bytes each


@dataclass(frozen=True)
class Machine:
    """An EC2 instance type.

    Attributes:
        gpus: How many.
        gpu: Their name.
        gpu_gib: Memory of each, GiB.
        cpus: vCPUs.
        memory_gib: Main memory, GiB.
        usd_per_hour: List price.
    """

    gpus: int
    gpu: str
    gpu_gib: float
    cpus: int
    memory_gib: int
    usd_per_hour: float


MACHINES = {
    "g4dn.xlarge": Machine(1, "T4", 16, 4, 16, 0.526),
    "g4dn.12xlarge": Machine(4, "T4", 16, 48, 192, 3.912),
    "g5.xlarge": Machine(1, "A10G", 24, 4, 16, 1.006),
    "g5.2xlarge": Machine(1, "A10G", 24, 8, 32, 1.212),
    "g5.4xlarge": Machine(1, "A10G", 24, 16, 64, 1.624),
    "g5.12xlarge": Machine(4, "A10G", 24, 48, 192, 5.672),
    "g5.24xlarge": Machine(4, "A10G", 24, 96, 384, 8.144),
    "g5.48xlarge": Machine(8, "A10G", 24, 192, 768, 16.288),
    "g6.xlarge": Machine(1, "L4", 24, 4, 16, 0.805),
    "g6.2xlarge": Machine(1, "L4", 24, 8, 32, 0.978),
    "g6.4xlarge": Machine(1, "L4", 24, 16, 64, 1.323),
    "g6.12xlarge": Machine(4, "L4", 24, 48, 192, 4.602),
    "g6.24xlarge": Machine(4, "L4", 24, 96, 384, 6.675),
    "g6.48xlarge": Machine(8, "L4", 24, 192, 768, 13.350),
    "p4d.24xlarge": Machine(8, "A100", 40, 96, 1152, 32.77),
    "p5.48xlarge": Machine(8, "H100", 80, 192, 2048, 98.32),
}


def trial_gib(variant: Variant, imgsz: int, batch: int) -> float:
    """GPU memory that a trial needs, about, GiB: what was measured, scaled by its pixels.

    Args:
        variant: The size.
        imgsz: Side of the images, pixels.
        batch: Images of a step.
    """
    fixed = PARAMETERS_M[variant] * _GIB_PER_MILLION
    return _CUDA_GIB + fixed + (_RESERVED_GIB[variant] - fixed) * batch * imgsz**2 / _MEASURED_PIXELS


def image_seconds(variant: Variant, imgsz: int, gpu: str) -> float:
    """Seconds that a whole GPU trains on one image, about; loading it is not counted.

    Args:
        variant: The size.
        imgsz: Side of the images, pixels.
        gpu: Its name.
    """
    return _BACKWARD * GFLOPS[variant] * (imgsz / 640) ** 2 / (_SUSTAINED_TFLOPS[gpu] * 1000)
