from headstart.store import MemoryStore, ShardStore
from headstart.testing.store import StoreContract


class TestMemoryStore(StoreContract):
    def make(self, folder):
        return MemoryStore()


class TestShardStore(StoreContract):
    def make(self, folder):
        return ShardStore(folder)


class TestReopenedShardStore(StoreContract):
    """As another process sees it after `seal`."""

    def make(self, folder):
        return ShardStore(folder)

    def filled(self, folder, users):
        super().filled(folder, users)
        return ShardStore(folder)
