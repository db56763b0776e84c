"""Builds outside the source folder: nothing is left in a checkout, and nothing stale gets into a wheel."""

from tempfile import TemporaryDirectory

from setuptools import setup  # type: ignore[import-untyped,unused-ignore]

with TemporaryDirectory() as scratch:
    # Under its own name the script is left out of the package it lies in.
    setup(script_name="setup.py", options={"build": {"build_base": scratch}, "egg_info": {"egg_base": scratch}})
