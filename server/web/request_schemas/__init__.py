"""What each route takes: the parameters of its address, the fields of its form, the members of its JSON.

One module a subject. `schema` holds how they are checked; a view names its schema with `takes` and reads nothing else of the
request. The same schemas describe the routes in `/api/openapi.json`.
"""
