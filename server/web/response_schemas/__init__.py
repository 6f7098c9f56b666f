"""What each JSON route answers, for `/api/openapi.json` and for tests that hold answers against it.

One module a subject; a view names its schema with `answers`. Nothing is checked while the server runs: the tests do that.
"""
