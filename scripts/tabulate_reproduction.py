#!/usr/bin/env python
"""Print docs/reproduction.md from what ``headstart reproduce all`` wrote of several data sets.

python scripts/tabulate_reproduction.py DIR/report.json ... > docs/reproduction.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.experiments.reproduction.published import METRICS
from headstart.report.beside import AGREES
from headstart.report.names import name_of

Plain = Mapping[str, Any]
NAMES = {metric: name_of(metric) for metric in METRICS}
BASES = ("global", "local")

HEAD = """# The paper's experiments, done again

Made by `scripts/tabulate_reproduction.py` from the `report.json` of

```
{commands}
```

which writes the experiment section of Ning et al. (RecSys 2017) on the data at hand as one report: data statistics,
logistic regression against epochs (the paper's methods for twelve values of T), the table of boosted trees over seeds,
seven abundance groups, 20 to 100 % of the training data, logistic regression against trees, quartiles of errors of
factorisations, every user's global against personal metrics. `logistic`, `gbdt` or `mf` instead of `all` are parts of
it; DATA with its roles may stand for `--dataset`. A killed run goes on when the same command is given again: each step
has a file in `parts/`. The report is `report.html`, `report.md` and `report.json`; [report](report.md) says what is in
it.

The paper's news log is not public. So levels of metrics cannot agree, and are not compared; directions, orders of
methods and sizes of gains can. "Adaptive" is `by-abundance`, the paper's schedule as it is explained (as it is printed,
`as-printed` in the reports, it does the opposite), and for trees also the fixed counts of its table, "20+50".

A statement is taken apart into differences, each with a 95 % interval: over users, of all pairs at once, in comparisons
and shares (of a group alone in groups); over seeds, paired, in the table of trees, where seeds are splits of the same
events. It holds where all of its differences are surely its way; in part where more are than are surely the other way;
else it does not; and cannot be told where no interval excludes 0, as in groups of fewer than ten users. The size of a
gain is compared without intervals: within a factor of two in all metrics, in some, in none. More pairs make wider
intervals: a report of one family may tell apart what one of all leaves open. Each statement is a function in
`experiments/reproduction/claims.py`. Clicks are split per user in time where there are times, else at random; ratings
and the table of trees at random. Settings are chosen on tune rows by AUC or RMSE, in the table of trees not at all."""


def lines(found: Sequence[Plain]) -> Iterator[str]:
    """The page."""
    names = [one["dataset"] for one in found]
    yield HEAD.format(commands="\n".join(f"headstart reproduce all --dataset {name} --out {name}" for name in names))
    times = ", ".join(f"{one['dataset']} {one['seconds'] / 60:.1f} minutes" for one in found)
    yield f"\nTime on two cores: {times}."
    for one in found:
        for family, why in one["not_run"].items():
            yield f"On {one['dataset']} `{family}` was not run: {why}."
    yield from ("", "## What the paper says, and what was found", "")
    yield from statements(found)
    yield from ("", "## Trees: mean (standard deviation) over seeds", "")
    yield from trees(found)
    yield from ("", "## Gain of adaptive trees", "")
    yield from gains(found)
    yield from ("", "## Logistic regression against trees", "")
    yield from families(found)
    yield from ("", "## Data", "")
    yield from statistics(found)


def statements(found: Sequence[Plain]) -> Iterator[str]:
    """Each statement with a verdict for every data set, then the figures."""
    papers = list(dict.fromkeys((c["family"], plain(c["paper"])) for one in found for c in one["claims"]))
    yield f"| model | the paper says | {' | '.join(one['dataset'] for one in found)} |"
    yield "|---|---|" + "---|" * len(found)
    for family, paper in papers:
        verdicts = [next((AGREES[c["agrees"]][0] for c in of(one, family, paper)), "-") for one in found]
        yield f"| {family} | {paper} | {' | '.join(verdicts)} |"
    yield from ("", "The figures behind each.", "")
    for family, paper in papers:
        yield f"**{paper}** ({family})"
        yield ""
        yield from (f"- {one['dataset']}: {claim['ours']}" for one in found for claim in of(one, family, paper))
        yield ""


def of(one: Plain, family: str, paper: str) -> list[Plain]:
    """The statement on one data set, if it could be tested."""
    return [claim for claim in one["claims"] if (claim["family"], plain(claim["paper"])) == (family, paper)]


def plain(text: str) -> str:
    """Of one line."""
    return " ".join(text.split())


def trees(found: Sequence[Plain]) -> Iterator[str]:
    """The paper's rows beside those of every data set."""
    for metric, name in NAMES.items():
        heads = [f"{one['dataset']} ({one['chapters']['gbdt']['more']['trees']['seeds']})" for one in found]
        yield f"| {name} | paper (10) | {' | '.join(heads)} |"
        yield "|---|---|" + "---|" * len(found)
        for row in found[0]["printed"]:
            ours = [spread(rows(one)[row["name"]][metric]) for one in found]
            yield f"| {row['name']} | {spread(row['metrics'][metric])} | {' | '.join(ours)} |"
        yield ""


def gains(found: Sequence[Plain]) -> Iterator[str]:
    """The paper's first adaptive row less the largest forests."""
    paper = {row["name"]: row["metrics"] for row in found[0]["printed"]}
    columns = {"paper": paper, **{one["dataset"]: rows(one) for one in found}}
    yield f"| metric | 20+50 less | {' | '.join(columns)} |"
    yield "|---|---|" + "---|" * len(columns)
    for metric, name in NAMES.items():
        for base in BASES:
            cells = []
            for table in columns.values():
                adaptive, other = (table[row][metric]["mean"] for row in ("adaptive 20+50", f"{base} 200"))
                cells.append(f"{adaptive - other:+.4f} ({100 * (adaptive / other - 1):+.1f} %)")
            yield f"| {name} | {base} 200 | {' | '.join(cells)} |"


def families(found: Sequence[Plain]) -> Iterator[str]:
    """Trees less logistic regression, the same method of both."""
    pairs = [[upright(pair) for pair in one["families"]] for one in found]
    keys = [(name, metric) for name in dict.fromkeys(p["name"] for p in pairs[0]) for metric in NAMES]
    yield "The same method of both families on the same test events: trees less logistic regression, with 95 %"
    yield "intervals of all pairs and metrics of a data set at once."
    yield ""
    yield f"| method | metric | {' | '.join(one['dataset'] for one in found)} |"
    yield "|---|---|" + "---|" * len(found)
    for name, metric in keys:
        known = [next(pair for pair in some if (pair["name"], pair["metric"]) == (name, metric)) for some in pairs]
        cells = [f"{pair['diff']:+.4f} [{pair['lo_all']:+.4f}, {pair['hi_all']:+.4f}]" for pair in known]
        yield f"| {name} | {NAMES[metric]} | {' | '.join(cells)} |"


def upright(pair: Plain) -> dict[str, Any]:
    """A pair as trees less logistic regression."""
    sign = 1 if pair["a"].startswith("gbdt ") else -1
    low, high = sorted((sign * pair["lo_all"], sign * pair["hi_all"]))
    head = {"name": pair["a"].partition(" ")[2], "metric": pair["metric"]}
    return {**head, "diff": sign * pair["diff"], "lo_all": low, "hi_all": high}


def rows(one: Plain) -> dict[str, Plain]:
    """Metrics of the table of trees, by row."""
    return {row["name"]: row["metrics"] for row in one["chapters"]["gbdt"]["more"]["trees"]["rows"]}


def spread(values: Plain) -> str:
    """Mean and standard deviation."""
    return f"{short(values['mean'])} ({short(values['sd'])})"


def short(value: float | None) -> str:
    """Four digits, without the leading zero."""
    return "-" if value is None else f"{value:.4f}".removeprefix("0")


def statistics(found: Sequence[Plain]) -> Iterator[str]:
    """Data sets, ours and the paper's."""
    every = [row for one in found for row in one["statistics"] if not row["published"]]
    every += [row for row in found[0]["statistics"] if row["published"]]
    yield "| data | users | items | features | events | positives | events a user | positives a user | sparsity |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in every:
        name = f"{row['name']} (paper)" if row["published"] else row["name"]
        counts = [count(row.get(key)) for key in ("users", "items", "features", "events", "positives")]
        means = [count(row.get(key)) for key in ("events_per_user", "positives_per_user")]
        sparsity = "-" if row.get("sparsity") is None else f"{row['sparsity']:.5f}".lstrip("0")
        yield f"| {name} | {' | '.join(counts)} | {' | '.join(means)} | {sparsity} |"


def count(value: float | None) -> str:
    """A whole number."""
    return "-" if value is None else f"{value:,.0f}"


def main() -> int:
    """Print the page."""
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    print("\n".join(lines([json.loads(Path(file).read_text("utf-8")) for file in sys.argv[1:]])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
