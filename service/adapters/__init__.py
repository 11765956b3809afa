"""Touches the world, one outside thing a file. Imports of the broker only its model, errors and ports."""
