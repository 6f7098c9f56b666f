"""Large forms: the registers of a record as form fields, and back."""
