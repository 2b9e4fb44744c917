"""Several readers as one stream of rows that belong together, and which of them count."""
