"""`python -m hushtally`: the command, where its script is not on the path."""

from hushtally.cli import main

main(prog_name="hushtally")
