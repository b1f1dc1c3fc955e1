"""Apply a plan to its tokens, with a journal."""
