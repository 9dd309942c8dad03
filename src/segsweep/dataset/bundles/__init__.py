"""Finished bundles: their manifest, their shards, and a node's copies of them."""
