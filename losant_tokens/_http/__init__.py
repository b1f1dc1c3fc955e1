"""A call as an HTTP request, and an HTTP response as a result.

`request_builder` builds the request before the first attempt, with the address and the headers of
`endpoint`. `body_reader` and `response_reader` read each response, and return a model or the error
to raise. Nothing here sends or waits for the network.
"""
