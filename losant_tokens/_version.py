"""The version of the package, which the build and the user agent read."""

__version__ = "0.1.0"
