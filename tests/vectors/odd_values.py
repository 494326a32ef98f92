"""Values that languages and formats treat differently."""

INFINITY = "infinity"  # JSON cannot express infinity
COMPOSED, DECOMPOSED = "\u00e9t\u00e9", "e\u0301te\u0301"  # the same text on the screen, but different strings
NOTE = "\U0001f3b5"  # one code point, two UTF-16 units, four UTF-8 bytes
