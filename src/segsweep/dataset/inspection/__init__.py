"""What is in a raw dataset and what is wrong with it."""
