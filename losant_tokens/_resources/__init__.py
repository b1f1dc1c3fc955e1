"""The resources of a client, one module for each kind of owner.

A method of a resource names an operation, and passes its arguments to the session of the client.
The names are those of the API, in snake_case. `owner_tokens` has one interface for all owners, and
`raw` the same methods with the whole response.
"""
