"""The version of hushtally; the distribution takes its version from this file."""

VERSION = "0.1.0"
