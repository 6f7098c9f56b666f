"""HTTP: views and what surrounds them. Imports the use cases; nothing below imports it."""
