"""Cryptography.

    vault          the keys of a district and of each child: encrypts, decrypts, signs; passwords and digests
    key_file       the file with the master keys, plain or wrapped by a key service
    sealed_batch   the form of a carried batch and of its receipt

Only `vault` imports the library `cryptography`. Nothing here knows the database.
"""
