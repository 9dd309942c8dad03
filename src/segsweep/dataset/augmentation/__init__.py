"""Albumentations, on train images only: offline copies, online transforms, and how they look."""
