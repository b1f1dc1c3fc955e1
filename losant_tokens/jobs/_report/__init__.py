"""Report the results of a job, as a value and as files.

`report` has the value, and `save` writes it as JSON, CSV or a page. Plans and other lists of tokens
use the same `page`. Files are written completely or not at all, and only their owner can read them.
"""
