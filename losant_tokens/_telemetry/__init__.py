"""The steps of each call as events: for hooks, and as spans and metrics of OpenTelemetry.

A call reports its attempts, retries and waits to `observers`, if the client has any.
`open_telemetry` is one of them. An observer cannot change a call.
"""
