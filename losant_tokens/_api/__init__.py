"""The API as data: its operations, models, request bodies and scopes, and their JSON.

`operations` is the table of all operations: method, path, scopes, request body and result. `models`
and `payloads` declare the results and the request bodies, and `codec` converts both from and to
JSON. A call starts with a row of the table, and ends with a model. Nothing here sends.
"""
