"""Forms that are more than a few fields: the registers of a record as fields, and back."""
