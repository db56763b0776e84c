"""A rule of the database for columns that hold ciphertexts of ours: no secret stands there by mistake."""

from django.db import models
from django.db.models import F, Func, Q
from django.db.models.lookups import Exact, GreaterThan

from tradingdb.lib.crypto import HEADER, NONCE, TAG


class Beginning(Func):
    """The form and the key's version of a ciphertext: its first three bytes."""

    function = "beginning"
    template = "substring(%(expressions)s FROM 1 FOR 3)"
    output_field = models.BinaryField()


class BeginningOf(Func):
    """How ciphertexts of a key's version begin."""

    function = "ciphertext_under"
    template = "('\\x01'::bytea || int2send(%(expressions)s))"
    output_field = models.BinaryField()


class OctetLength(Func):
    """The number of bytes."""

    function = "octet_length"
    output_field = models.IntegerField()


def ciphertexts(name: str, *fields: str, version: str) -> models.CheckConstraint:
    """Refuse what is no ciphertext under the version of the key that the row names. NULL passes."""
    rules: list[Exact | GreaterThan] = []
    for field in fields:
        rules.append(Exact(Beginning(F(field)), BeginningOf(F(version))))
        rules.append(GreaterThan(OctetLength(F(field)), HEADER + NONCE + TAG))
    return models.CheckConstraint(condition=Q(*rules), name=name)
