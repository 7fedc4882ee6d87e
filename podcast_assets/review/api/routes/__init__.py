"""Routes of the HTTP interface, by subject."""
