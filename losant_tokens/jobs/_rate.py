"""The adaptive rate of a job, which the client uses for its own requests, too."""

from losant_tokens._adaptive_rate import FIRST_RATE, Curve, Meter, Rate

__all__ = ["FIRST_RATE", "Curve", "Meter", "Rate"]
