"""The types of the public API, which mypy and pyright check. Nothing in here runs.

`nox -s typing` checks these modules with both. A `# type: ignore` marks code that must not
type-check; both tools report it if the code does.
"""
