"""A call as an HTTP request, and an HTTP response as a result.

`request_builder` builds the request before the first attempt. `response_reader` reads each response
and returns a model, or the error to raise. `endpoint` has the base URL and the headers that all
requests share. Nothing here sends or waits for the network.
"""
