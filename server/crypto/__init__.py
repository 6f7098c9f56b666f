"""Cryptography: `vault` holds the keys of a district and of each child, `key_file` the file they lie in, `sealed_batch` the
form of a batch that somebody else carries.

`vault` alone imports the library `cryptography`; nothing here knows the database.
"""
