"""HTTP: views and what they share. It imports the use cases; nothing below imports it."""
