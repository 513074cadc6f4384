"""Models at rest: arrays, tables and personal models in files, versions in a folder, one manifest."""

from headstart.store.arrays import read_arrays, write_arrays
from headstart.store.draft import Draft
from headstart.store.files import read_json, write_json
from headstart.store.folder import ModelFolder, forget
from headstart.store.shards import MemoryStore, PersonalStore, ShardStore
from headstart.store.tables import drop_users, read_table, write_table

__all__ = [
    "Draft",
    "MemoryStore",
    "ModelFolder",
    "PersonalStore",
    "ShardStore",
    "drop_users",
    "forget",
    "read_arrays",
    "read_json",
    "read_table",
    "write_arrays",
    "write_json",
    "write_table",
]
