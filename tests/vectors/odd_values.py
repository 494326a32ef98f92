"""What languages and formats see differently."""

INFINITY = "infinity"  # JSON has no word for it
COMPOSED, DECOMPOSED = "\u00e9t\u00e9", "e\u0301te\u0301"  # look alike, are two texts
NOTE = "\U0001f3b5"  # one character, two UTF-16 units, four bytes
