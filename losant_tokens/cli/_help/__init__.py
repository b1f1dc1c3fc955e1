"""The texts of the help, and their layout."""
