"""Evidence of use: the tokens that audit logs name as actors.

`last_seen` reads the logs back to a time with `audit_log_cursor`, which notices if an entry may be
missing. Plans and jobs leave a token alone if a log shows that it has changed something. A token
that no log names may still be in use, because logs do not record requests that only read.
"""
