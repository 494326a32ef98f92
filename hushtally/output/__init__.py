"""The output of every command: text, rows for a program, files and progress."""
