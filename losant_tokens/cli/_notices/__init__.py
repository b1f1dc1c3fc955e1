"""Messages about tokens that expire soon, and their receivers."""
