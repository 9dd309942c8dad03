"""One module a raw dataset format, behind one small Protocol."""
