"""A call as an HTTP request, and an HTTP response as a result."""
