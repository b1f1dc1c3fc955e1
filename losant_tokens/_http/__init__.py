"""A call as an HTTP request, and an HTTP response as a result.

`request_builder` builds the request before the first attempt. `response_reader` reads each response
and returns a model, or the error to raise. Nothing here sends or waits for the network.
"""
