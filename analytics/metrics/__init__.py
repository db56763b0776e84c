"""Performance and risk metrics as pure functions: numbers in, numbers out, no database, no clock, no Django.

`canonical` is the door for the daily table; the other modules hold one family of metrics each.
"""
