"""Send the requests of a job at a rate that the server allows. It knows nothing else of jobs.

`throttle` grants slots at the rate that the client's calls share. `adaptive_concurrency` limits the
requests in flight by their latency, and `circuit_breaker` detects outages. Planning and execution
send all of their requests with it.
"""
