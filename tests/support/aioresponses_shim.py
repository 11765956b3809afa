"""Lets aioresponses 0.7 work with aiohttp 3.14, whose responses ask for one argument more."""

import inspect
from unittest.mock import Mock

import aioresponses.core
from aiohttp import ClientResponse


class _Answer(ClientResponse):
    def __init__(self, *args, **rest):
        super().__init__(*args, **{"stream_writer": Mock(output_size=0), **rest})


def install():
    """Hand aioresponses a response class that fills in the argument, where aiohttp has it."""
    if "stream_writer" in inspect.signature(ClientResponse.__init__).parameters:
        aioresponses.core.ClientResponse = _Answer
