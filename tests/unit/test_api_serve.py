"""Opening and closing the listeners: who is let out, and what is waited for."""

import asyncio
from unittest.mock import Mock

import aiohttp
import pytest

from tests.support.doors import CURRENT, AnswersScript, UsersScript, current_token, open_house, user


async def read_of(response_context):
    async with response_context as response:
        return response.status, await response.json(), response.headers.get("Connection")


async def test_a_request_under_way_is_answered_while_closing():
    answers = AnswersScript(for_browser=asyncio.Event(), for_browser_after=current_token())
    async with open_house(answers=answers) as house:
        asking = asyncio.create_task(read_of(house.refresh()))
        await answers.called.wait()
        house.ready.draining = True
        closing = asyncio.create_task(house.listeners.close())
        answers.results["for_browser"].set()
        status, body, connection = await asking
        await closing

    assert (status, body["accessToken"], connection) == (200, CURRENT, "close")


async def test_nobody_new_is_let_in_after_closing():
    async with open_house() as house:
        url = house.url("public", "/healthz")
        await house.listeners.close()

        with pytest.raises(aiohttp.ClientConnectorError):
            await house.session.get(url)


async def test_probes_are_answered_until_everything_else_has_ended():
    answers = AnswersScript(for_browser=asyncio.Event(), for_browser_after=current_token())
    async with open_house(answers=answers) as house:
        probe = house.url("observe", "/healthz")
        asking = asyncio.create_task(read_of(house.refresh()))
        await answers.called.wait()
        closing = asyncio.create_task(house.listeners.close())
        async with house.session.get(probe) as response:
            assert response.status == 200
        answers.results["for_browser"].set()
        await asyncio.gather(asking, closing)


async def test_work_that_nobody_waits_for_is_waited_for_at_the_end():
    users = UsersScript(revoke=asyncio.Event(), revoke_after=user())
    async with open_house(users=users, answer_timeout_s=0.05) as house:
        async with house.call("POST", "/v1/users/u-1/revoke") as response:
            assert response.status == 503
        closing = asyncio.create_task(house.listeners.close())
        users.results["revoke"].set()

        assert await closing == 0


async def test_work_that_does_not_end_is_counted():
    users = UsersScript(revoke=asyncio.Event(), revoke_after=user())
    async with open_house(users=users, answer_timeout_s=0.05, drain_s=0.05) as house:
        async with house.call("POST", "/v1/users/u-1/revoke"):
            pass
        assert await house.listeners.close() == 1
        users.results["revoke"].set()


async def test_a_connection_that_was_only_just_accepted_is_not_waited_for():
    async with open_house() as house:
        runner = house.listeners.open["public"].runner
        connection = runner.server()
        connection.connection_made(Mock(asyncio.Transport))  # it has not begun to listen when closing begins

        async with asyncio.timeout(2):
            await house.listeners.close()


async def test_closing_ends_in_time_whatever_does_not_end():
    answers = AnswersScript(for_browser=asyncio.Event(), for_browser_after=current_token())
    users = UsersScript(revoke=asyncio.Event(), revoke_after=user())
    async with open_house(answers=answers, users=users, answer_timeout_s=0.05, drain_s=0.5) as house:
        async with house.call("POST", "/v1/users/u-1/revoke"):
            pass
        asking = asyncio.create_task(read_of(house.refresh()))
        await answers.called.wait()

        began = asyncio.get_running_loop().time()
        assert await house.listeners.close() == 1
        assert asyncio.get_running_loop().time() - began < 2 * 0.5

        asking.cancel()
        users.results["revoke"].set()
