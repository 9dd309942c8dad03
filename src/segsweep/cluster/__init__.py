"""The machines: what a Ray cluster file says, and what it needs of an account before Ray may start anything."""
