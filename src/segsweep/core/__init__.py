"""Plain Python and NumPy, no I/O: the vocabulary and the algorithms."""
