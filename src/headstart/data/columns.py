"""Which columns of a source are read, as what: parts are assigned, types found out and checked, SQL written."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from headstart.data.database import Database
from headstart.data.roles import Roles
from headstart.data.sniff import sniff
from headstart.data.sources import Source
from headstart.data.vocab import is_text
from headstart.errors import DataError, SettingsError

PARTS = ("user", "time", "item", "list", "label", "weight", "offset")
_IDS = ("user", "item", "list")
_SQL = {"int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT"}
_SQL |= {f"u{kind}": f"U{name}" for kind, name in _SQL.items()}
_UNNAMED = ("", "__index_level_0__")


@dataclass(frozen=True)
class Layout:
    """What to read of a source.

    Attributes
    ----------
    what : the source's name in messages
    roles : those that the source can fill
    parts : SQL expression of each part that there is
    features : SQL expression of each feature, by its name
    scan : the FROM clause
    """

    what: str
    roles: Roles
    parts: Mapping[str, str]
    features: Mapping[str, str]
    scan: str

    def select(self, row: str) -> str:
        """The query for all rows in their first order; `row` is the SQL of the row number."""
        named = [f"{sql} AS {part}" for part, sql in self.parts.items()]
        named += [f"{sql} AS f{k}" for k, sql in enumerate(self.features.values())]
        return f"SELECT {', '.join(named)}, {row} AS row FROM {self.scan}"

    @property
    def order(self) -> str:
        """By user, then time, then item, then the first order."""
        return "ORDER BY " + ", ".join([part for part in ("user", "time", "item") if part in self.parts] + ["row"])


def lay_out(db: Database, source: Source, roles: Roles, labelled: bool) -> Layout:
    """Assign the columns of `source` to `roles`; scoring (`labelled` false) does without label, weight, time, list."""
    check_roles(roles)
    _check_names(source, roles, labelled)
    effective = roles if labelled else _for_scoring(roles, source.names)
    columns = {part: getattr(effective, part) for part in PARTS if getattr(effective, part) is not None}
    features = _features(source, roles)
    typed = _typed(db, source, columns, features, roles)
    parts = {part: _part(source, part, name, *typed[name]) for part, name in columns.items()}
    lenient = not labelled and roles.features is None
    usable = [name for name in features if _is_value(typed[name][0]) or not lenient]
    chosen = {name: _feature(source, name, *typed[name]) for name in usable}
    return Layout(source.what, effective, parts, chosen, source.scan)


def with_users(db: Database, layout: Layout, kind: pa.DataType) -> Layout:
    """`layout` with the users' ids read as `kind`, text or an integer type: ids of a model are of one type.

    Raises
    ------
    DataError
        where an id is no `kind` that is written the same way, as text ``007`` is no number
    """
    sql, name = layout.parts["user"], _SQL.get(str(kind), "VARCHAR")
    rows = f"SELECT row_number() OVER () AS row, {sql} AS id FROM {layout.scan}"
    other = f"CAST(TRY_CAST(id AS {name}) AS VARCHAR) IS DISTINCT FROM CAST(id AS VARCHAR)"
    bad = db.table(
        f"SELECT row, CAST(id AS VARCHAR) FROM ({rows}) WHERE {other} ORDER BY row LIMIT 1", what=layout.what
    )
    if len(bad):
        row, found = bad.column(0)[0].as_py(), bad.column(1)[0].as_py()
        where = f"{layout.what}: user column {layout.roles.user!r}"
        raise DataError(f"{where} holds {found!r} in row {row}; ids of the model are of the type {kind}: convert it")
    return replace(layout, parts={**layout.parts, "user": f"CAST({sql} AS {name})"})


def _typed(
    db: Database, source: Source, columns: Mapping[str, str], features: Sequence[str], roles: Roles
) -> Mapping[str, tuple[pa.DataType, str]]:
    """Type and SQL expression of every column that is read."""
    if source.kinds is not None:
        return {name: (kind, f"c{k}") for k, (name, kind) in enumerate(zip(source.names, source.kinds, strict=True))}
    ids = {columns[part] for part in _IDS if part in columns}
    texts = {*roles.categorical, *([roles.label] if roles.positive is not None and roles.label is not None else [])}
    return sniff(db, source, [*columns.values(), *features], ids, texts)


def check_roles(roles: Roles) -> None:
    """Refuse a column that plays two parts."""
    named = [(part, getattr(roles, part)) for part in PARTS if getattr(roles, part) is not None]
    named += [("drop", name) for name in roles.drop]
    named += [("features", name) for name in dict.fromkeys((*(roles.features or ()), *roles.categorical))]
    seen: dict[str, str] = {}
    for part, name in named:
        if name in seen and (part, seen[name]) != ("drop", "drop"):
            raise SettingsError(f"column {name!r} is given as --{seen[name]} and as --{part}; it can be only one")
        seen[name] = part
    if roles.rule is not None and roles.positive is not None:
        raise SettingsError("the label has a rule and a positive value; give only one of them")


def _check_names(source: Source, roles: Roles, labelled: bool) -> None:
    twice = [name for name, count in Counter(source.names).items() if count > 1]
    if twice:
        raise DataError(f"{source.what}: column {twice[0]!r} is there twice; rename one of the two")
    wanted: tuple[str | None, ...] = (roles.user, roles.item, roles.offset)
    if labelled:
        rest = (*(roles.features or ()), *roles.categorical, *roles.drop)
        wanted = (*wanted, roles.label, roles.time, roles.list, roles.weight, *rest)
        if roles.label is None:
            raise SettingsError("training and evaluation need a label column; give --label")
    for name in wanted:
        if name is not None and name not in source.names:
            near = difflib.get_close_matches(name, source.names, 1)
            some = ", ".join(source.names[:8]) + (", ..." if len(source.names) > 8 else "")
            hint = f"did you mean {near[0]!r}?" if near else "name one of them"
            raise DataError(f"{source.what}: there is no column {name!r} among {some}; {hint}")


def _for_scoring(roles: Roles, names: Sequence[str]) -> Roles:
    return replace(
        roles,
        label=None, rule=None, positive=None, weight=None,
        time=roles.time if roles.time in names else None,
        list=roles.list if roles.list in names else None,
    )  # fmt: skip


def _features(source: Source, roles: Roles) -> list[str]:
    out = {*roles.taken, *roles.drop, *_UNNAMED}
    if roles.features is None:
        return [name for name in source.names if name not in out]
    named = {*roles.features, *roles.categorical}
    return [name for name in source.names if name in named]


def _part(source: Source, part: str, name: str, kind: pa.DataType, sql: str) -> str:
    where = f"{source.what}: {part} column {name!r}"
    if pa.types.is_null(kind):
        raise DataError(f"{where} is empty in every row; fill it, or name another column")
    if part in _IDS:
        if _is_text(kind):
            return f"CAST({sql} AS VARCHAR)"
        if pa.types.is_integer(kind):
            return sql
        raise DataError(f"{where} holds {kind}; ids are whole numbers or text: convert it")
    if pa.types.is_decimal(kind):
        return f"CAST({sql} AS DOUBLE)"
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if part == "time":
        if number or pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return sql
        raise DataError(f"{where} holds {kind}; a time is a number, a date or a timestamp: convert it")
    if number or (part == "label" and (pa.types.is_boolean(kind) or _is_text(kind))):
        return f"CAST({sql} AS VARCHAR)" if _is_text(kind) else sql
    raise DataError(f"{where} holds {kind}; it must be a number: convert it")


def _feature(source: Source, name: str, kind: pa.DataType, sql: str) -> str:
    if not _is_value(kind):
        time = pa.types.is_temporal(kind)
        advice = f"give --time {name}, or --drop {name}" if time else f"give --drop {name}, or spread it over columns"
        raise DataError(f"{source.what}: column {name!r} holds {kind}, which is no feature; {advice}")
    if _is_text(kind):
        return f"CAST({sql} AS VARCHAR)"
    return f"CAST({sql} AS DOUBLE)" if pa.types.is_decimal(kind) or pa.types.is_null(kind) else sql


def _is_value(kind: pa.DataType) -> bool:
    types = pa.types
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return bool(number or types.is_boolean(kind) or types.is_null(kind) or _is_text(kind))


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return is_text(kind)
