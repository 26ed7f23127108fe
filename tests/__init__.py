"""A file for each behaviour; the names are sentences."""
