"""Apply a plan to its tokens, with a journal.

`apply` checks the plan and opens its files, and `apply_chunk` does the same for a part of a plan.
`job_run` starts a `worker_pool`, whose workers take one token after the other from the `queue`.
`token_executor` reads the token, records the intent in the `journal`, changes the token and records
the outcome.
"""
