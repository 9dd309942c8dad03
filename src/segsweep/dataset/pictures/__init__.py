"""Picture files: read, resized and written, and which of them look alike."""
