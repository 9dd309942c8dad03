"""Raw datasets to verified bundles to node copies."""
