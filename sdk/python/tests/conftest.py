"""Runs tests that are coroutines, each on a loop of its own."""

import asyncio
import inspect

import pytest

# No test of this package takes nearly as long; one that hangs says where.
PATIENCE = 30


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    args = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**args), PATIENCE))
    return True


@pytest.fixture
def pauses(monkeypatch):
    """Notes the pauses between attempts instead of waiting for their end."""
    noted = []

    async def sleep(seconds):
        noted.append(seconds)

    monkeypatch.setattr("sdk._transport.sleep", sleep)
    return noted
