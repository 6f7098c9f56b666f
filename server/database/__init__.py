"""The database: `engine` opens it and runs transactions, `models` are its tables, `ids` makes keys, `migrations` are the
versions of the schema.

Hides which of SQLite and PostgreSQL is there. No rules of the field: what may be written and what it
means is decided above.
"""
