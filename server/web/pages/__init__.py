"""HTML views. Each calls one use case and gives a template what it returns."""
