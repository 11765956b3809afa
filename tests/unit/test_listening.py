"""Requests are read by aiohttp's compiled parser, or not at all."""

from importlib import import_module

import aiohttp.http_parser
import pytest

from service.listening import bind_all, bind_all_for_each
from service.settings import ConfigurationError, load_settings
from tests.support.environment import environment

ANYWHERE = dict.fromkeys(["PUBLIC_ADDRESS", "INTERNAL_ADDRESS", "OBSERVE_ADDRESS"], "127.0.0.1:0")


@pytest.mark.parametrize("bind", [bind_all, bind_all_for_each])
def test_nothing_is_listened_on_without_the_compiled_parser(monkeypatch, bind):
    monkeypatch.setenv("AIOHTTP_NO_EXTENSIONS", "1")
    with pytest.raises(ConfigurationError, match="AIOHTTP_NO_EXTENSIONS: must not be set"):
        bind(load_settings(environment(**ANYWHERE)))


def test_an_empty_variable_changes_nothing_as_it_does_for_aiohttp(monkeypatch):
    monkeypatch.setenv("AIOHTTP_NO_EXTENSIONS", "")
    sockets = bind_all(load_settings(environment(**ANYWHERE)))
    for sock in sockets.values():
        sock.close()
    assert len(sockets) == 3


def test_the_parser_in_use_here_is_the_compiled_one():
    compiled = import_module("aiohttp._http_parser")
    assert aiohttp.http_parser.HttpRequestParser is compiled.HttpRequestParser
