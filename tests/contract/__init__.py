"""Checks against the published contract with tools of other people."""
