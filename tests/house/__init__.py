"""The house style, as far as a program can check it."""
