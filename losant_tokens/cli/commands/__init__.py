"""The commands: each module holds the options and the body of a command."""
