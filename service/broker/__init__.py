"""Decides what happens to a user's token pair. Standard library only; takes `now`, never reads a clock."""
