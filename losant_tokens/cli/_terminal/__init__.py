"""The terminal: output, colors, tables and the pager."""
