"""The one error of this package."""


class ServiceError(Exception):
    """Something the person at the keyboard can put right: one sentence with the cause and the remedy."""
