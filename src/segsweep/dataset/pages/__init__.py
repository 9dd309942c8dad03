"""Pages that show a raw dataset or a bundle, each one file that fetches nothing."""
