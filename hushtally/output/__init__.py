"""What every command writes: text, rows for a program, files and progress."""
