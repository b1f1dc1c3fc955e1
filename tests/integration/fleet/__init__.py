"""The fleet: workers as processes, real stores and real sockets."""
