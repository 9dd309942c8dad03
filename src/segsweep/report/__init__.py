"""Evaluate, time, chart: what a run found."""
