"""`hushtally tune`."""
