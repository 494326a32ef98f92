"""What the simulation commands share."""
