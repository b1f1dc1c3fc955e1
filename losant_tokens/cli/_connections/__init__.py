"""The clients of a command, and the accounts that it works on."""
