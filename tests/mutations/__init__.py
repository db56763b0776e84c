"""The mutation check: bugs planted in the code and damage planted in the data, each of which must be found."""
