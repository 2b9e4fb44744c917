"""Whether a loss is what it says: its gradient, its domain, its compiled code."""
