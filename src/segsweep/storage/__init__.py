"""Where bytes live: folders and S3 behind one Protocol, and who may write."""
