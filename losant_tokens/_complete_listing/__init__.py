"""Lists of tokens that are proven complete, although tokens move while they are listed.

`page_reader` reads the pages in the order of the ids. `page_cursor` decides which page is next, and
`completeness` whether a token may be missing; then `listing` lists all of them again. Snapshots of
the client and plans of jobs use it.
"""
