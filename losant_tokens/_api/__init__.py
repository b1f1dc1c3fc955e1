"""The API as data: operations, models, request bodies, scopes, and their JSON."""
