"""The sample dataset, rendered here."""
