"""Pictures: what was found, as lines or bars, on SVG, PNG or the characters of a terminal."""
