"""The sweep itself: run, resume, status, budget."""
