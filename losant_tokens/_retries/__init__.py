"""Which failures are retried, when, and how often.

`retry_policy` has `RetryPolicy` and the retry table: pure functions that a call asks after each
failed attempt. `retry_budget` limits the retries of all calls of a client during an outage.
"""
