"""The database.

    engine        opens it, and runs transactions
    writes        writes many rows at once
    models        the tables, one module per subject
    bound_rows    which rows are bound to the log, and what vouches for the others
    touched_rows  which bound rows a transaction has written
    ids           makes ids
    migrations    versions of the schema

Hides whether SQLite or PostgreSQL is used. Holds no rules of the field: what may be written and what it means is decided in
the packages above.
"""
