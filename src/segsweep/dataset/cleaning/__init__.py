"""Cleaning: images left out and shapes mended, by stated rules, each time told."""
