"""Systems against each other, row by row, with the statistics that tell them apart."""
