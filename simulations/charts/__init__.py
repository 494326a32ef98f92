"""Charts, drawn as SVG, PNG or terminal characters."""
