"""The API as data: its operations, models, request bodies and scopes, and their JSON.

`operations` is the table of the operations on tokens: method, path, scopes, request body and
result. Owners and audit logs have tables and models of their own, because few programs need them.
`models` and `payloads` declare the results and the request bodies, and `codec` converts both from
and to JSON. A call starts with a row of a table, and ends with a model. Nothing here sends.
"""
