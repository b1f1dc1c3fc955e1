"""What the command keeps on this machine."""
