"""Slices of the data: which rows are in which, their losses, and gates on them."""
