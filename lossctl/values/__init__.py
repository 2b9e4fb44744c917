"""From what files hold to the numbers and labels that a loss takes: shapes, exact conversions, classes."""
