"""The chosen model, packaged and used."""
