"""Send the requests of a job at a rate that the server allows. It knows nothing else of jobs."""
