"""`make smoke`: what `make run` starts, driven once from end to end without a person, and counted.

Clients only: they speak HTTP to the running stack. Must import nothing of the broker.
"""
