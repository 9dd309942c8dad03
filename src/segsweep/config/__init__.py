"""YAML to frozen models; every mistake of a file reported at once."""
