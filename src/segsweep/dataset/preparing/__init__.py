"""From a raw dataset to a bundle, stage by stage."""
