"""Exported models: ONNX, prediction without torch, latency."""
