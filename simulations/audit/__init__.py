"""The command `hushtally audit`."""
