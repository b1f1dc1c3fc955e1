"""Tests over real sockets against servers that misbehave."""
