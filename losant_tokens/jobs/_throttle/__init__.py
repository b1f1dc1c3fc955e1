"""Send the requests of a job at a pace that the server allows."""
