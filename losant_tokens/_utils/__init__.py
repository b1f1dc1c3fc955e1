"""Small helpers that know nothing of the API, such as validators, secrets and private files.

Any package may import them, and they import only each other and `losant_tokens.errors`.
"""
