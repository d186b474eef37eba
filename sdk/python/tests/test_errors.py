"""Errors and trying again."""

import asyncio
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import httpx
import pytest
from fake import AGENT, Fake, agent, event

import sdk
from sdk import exceptions

KINDS = {
    400: exceptions.AgentManagementError,
    401: exceptions.AuthenticationError,
    403: exceptions.ForbiddenError,
    404: exceptions.NotFoundError,
    409: exceptions.ConflictError,
    413: exceptions.AgentManagementError,
    422: exceptions.ValidationError,
    429: exceptions.RateLimitError,
    500: exceptions.ServerError,
    503: exceptions.ServerError,
}


@pytest.mark.parametrize("status", KINDS)
async def test_error(status, pauses):
    fake = Fake((status, {"detail": "the words"}, {"Request-Id": "req_1"}))
    async with fake.client() as client:
        with pytest.raises(exceptions.AgentManagementError) as raised:
            await client.get_agent(AGENT)
    error = raised.value
    assert type(error) is KINDS[status]
    assert (error.status, error.detail, error.request_id) == (status, "the words", "req_1")
    assert str(error) == f"{status}: the words" and error.response.status_code == status
    # What is the caller's fault is not sent again.
    assert len(fake.requests) == (4 if status == 429 or status >= 500 else 1)


async def test_validation_errors_are_listed():
    faults = [{"loc": ["body", "events", 1, "level"], "msg": "is none of them", "type": "value_error"}]
    async with Fake((422, {"detail": faults})).client() as client:
        with pytest.raises(sdk.ValidationError, match=r"body\.events\.1\.level: is none of them") as raised:
            await client.log_events_batch([])
    assert raised.value.errors == faults
    assert sdk.ValidationError("x", detail="a text").errors == []


@pytest.mark.parametrize("body", ["<html>no</html>", '"text"', "[]", "", '{"other": 1}'])
async def test_error_without_the_envelope(body):
    async with Fake((404, body)).client() as client:
        with pytest.raises(sdk.NotFoundError):
            await client.get_agent(AGENT)


@pytest.mark.parametrize(
    "answer", [(200, "<html>"), (200, '"text"'), (200, "[1]"), (200, {"id": 5}), (204, ""), (307, "", {"location": "/x"})]
)
async def test_answer_that_is_none(answer):
    fake = Fake(answer)
    async with fake.client() as client:
        for call in (client.get_agent(AGENT), client.list_agents(), client.get_install_prompt("x"), client.health()):
            with pytest.raises(sdk.UnexpectedResponseError):
                await call
    assert len(fake.requests) == 4


@pytest.mark.parametrize("failure", [httpx.ConnectError, httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.PoolTimeout,
                                     (429, {"detail": "slow"}), (500, ""), (502, "<html>"), (503, {"detail": "not yet"})])
async def test_tried_again(failure, pauses):
    fake = Fake(failure, failure, failure, (201, event))
    async with fake.client() as client:
        assert (await client.log_event(AGENT, "x")).event_type == "x"
    assert len(set(fake.keys())) == 1 and fake.keys()[0]  # so that it is done once
    assert len({request.content for request in fake.requests}) == 1
    assert 0.18 < pauses[0] < 0.32 and 0.37 < pauses[1] < 0.63 and 0.75 < pauses[2] < 1.26


async def test_pauses_differ(pauses):
    async with Fake((500, "")).client(max_retries=40) as client:
        with pytest.raises(sdk.ServerError):
            await client.get_agent(AGENT)
    assert len(set(pauses)) == 40 and max(pauses) <= 10


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_gives_up(retries, pauses):
    fake = Fake(httpx.ConnectError)
    async with fake.client(max_retries=retries) as client:
        with pytest.raises(sdk.APIConnectionError) as raised:
            await client.get_agent(AGENT)
    assert raised.value.status is None and raised.value.response is None
    assert isinstance(raised.value.__cause__, httpx.ConnectError)
    assert len(fake.requests) == retries + 1


async def test_timeouts_are_connection_errors(pauses):
    async with Fake(httpx.ReadTimeout).client() as client:
        with pytest.raises(sdk.APITimeoutError) as raised:
            await client.get_agent(AGENT)
    assert isinstance(raised.value, sdk.APIConnectionError)


@pytest.mark.parametrize("url", ["ftp://valar.test", "valar.test"])
async def test_useless_address_is_not_tried_again(url, pauses):
    async with sdk.AgentManagementClient(url, "key") as client:
        with pytest.raises(sdk.APIConnectionError):
            await client.get_agent(AGENT)
    assert pauses == []


async def test_retry_after(pauses):
    date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=20), usegmt=True)
    headers = [{"Retry-After": "7"}, {"Retry-After": date}, {"Retry-After": "soon"}]
    async with Fake(*[(429, {"detail": "slow"}, h) for h in headers], (200, agent)).client() as client:
        await client.get_agent(AGENT)
    assert pauses[0] == 7 and 15 < pauses[1] <= 20 and pauses[2] < 1.3


async def test_retry_after_that_is_too_long(pauses):
    fake = Fake((429, {"detail": "slow"}, {"Retry-After": "3600"}))
    async with fake.client() as client:
        with pytest.raises(sdk.RateLimitError) as raised:
            await client.get_agent(AGENT)
    assert raised.value.retry_after == 3600 and len(fake.requests) == 1 and pauses == []


async def test_conflict_with_an_attempt_that_is_being_answered(pauses):
    fake = Fake(httpx.ReadTimeout, (409, {"detail": "still being answered"}, {"Retry-After": "1"}), (201, event))
    async with fake.client() as client:
        await client.log_event(AGENT, "x")
    assert len(fake.requests) == 3 and len(set(fake.keys())) == 1


async def test_deleted_by_an_attempt_before(pauses):
    async with Fake(httpx.ReadTimeout, (404, {"detail": "gone"})).client() as client:
        await client.delete_agent(AGENT)
        with pytest.raises(sdk.NotFoundError):
            await client.delete_agent(AGENT)


async def test_cancelling_ends_a_pause():
    fake = Fake((500, ""))
    async with fake.client() as client:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.get_agent(AGENT), 0.05)
    assert len(fake.requests) == 1


def test_every_error_is_one_of_ours():
    kinds = [getattr(exceptions, name) for name in exceptions.__all__]
    assert all(issubclass(kind, exceptions.AgentManagementError) and kind.__doc__ for kind in kinds)
