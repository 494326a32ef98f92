"""The command `hushtally simulate`."""
