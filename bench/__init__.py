"""Measures the broker beside what a team would otherwise run, in one run on one machine. See README.md."""
