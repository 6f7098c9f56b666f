"""The database.

    engine      opens it, runs transactions, and writes many rows at once
    models      the tables, one module per subject
    ids         makes ids
    migrations  versions of the schema

Hides whether SQLite or PostgreSQL is used. Holds no rules of the field: what may be written and what it means is decided in
the packages above.
"""
