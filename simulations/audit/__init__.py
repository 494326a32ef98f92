"""`hushtally audit`."""
