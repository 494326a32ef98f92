"""Pure: what devices and collectors must agree on. Reports, kinds of refusal, and the identifiers of database files."""
