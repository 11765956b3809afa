"""The short way for the commonest requests: a plain GET of a token that a cache holds, answered at once.

Everything else, and whatever is not understood to the last byte, goes the long way through aiohttp.
"""
