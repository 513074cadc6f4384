"""Every engine keeps the contract."""

import pytest

from headstart.engines import Serial, Threads
from headstart.errors import SettingsError
from headstart.testing.engine import EngineContract


class TestSerial(EngineContract):
    def make(self):
        return Serial()


class TestOneThread(EngineContract):
    def make(self):
        return Threads(1)


class TestThreeThreads(EngineContract):
    def make(self):
        return Threads(3)


def test_no_threads_are_refused():
    with pytest.raises(SettingsError, match="at least 1; got 0"):
        Threads(0)
