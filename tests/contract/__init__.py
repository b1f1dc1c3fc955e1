"""Checks against the published contract, with third-party tools."""
