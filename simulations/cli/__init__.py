"""Options and output that the simulation commands share."""
