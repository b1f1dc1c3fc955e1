"""Lists of tokens, and the details of one."""
