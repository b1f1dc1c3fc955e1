"""Quarantine: deactivate tokens with a plan, and later delete them or activate them again.

A quarantine is read from the report of the job that deactivated its tokens. `plans` makes the plans
that sweep or restore it, and leaves a token alone if `comparison` finds that somebody has changed
it. `ledger` keeps the reports, so that each quarantine can be found again.
"""
