"""`python -m hushtally`: the `hushtally` command for systems on which its script is not on the path."""

from hushtally.cli import main

main(prog_name="hushtally")
