"""Events of calls: hooks, and OpenTelemetry."""
