"""The parts of the scale report (`bench/scale.py`): tables of many sizes, and a day of a million users.

Measures the product through its ports and adapters; holds no statement of the product's.
"""
