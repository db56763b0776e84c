"""Shared helpers that know nothing of our apps."""
