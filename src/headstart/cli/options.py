"""Options that several commands share, and the TOML file that may give them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from headstart.errors import SettingsError

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType

F = TypeVar("F", bound=Callable[..., Any])


class _Names(_ParamType):
    name = "a,b"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        parts = value if isinstance(value, (list, tuple)) else str(value).split(",")
        return tuple(str(part).strip() for part in parts if str(part).strip())


class _Output(_ParamType):
    """A file that will be written. Refused at the door rather than after hours of training."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        folder = path.resolve().parent
        if path.is_dir():
            raise SettingsError(f"cannot write {value}: it is a folder; name a file in it")
        if path.exists() and not path.is_file():
            raise SettingsError(f"cannot write {value}: it is no plain file; name another")
        if not folder.is_dir():
            raise SettingsError(f"cannot write {value}: there is no folder {folder}; make it, or name another file")
        if not os.access(folder, os.W_OK):
            raise SettingsError(
                f"cannot write {value}: the folder {folder} is not yours to write to; name another file"
            )
        return path.resolve() if path.is_symlink() else path  # the link stays, what it leads to is replaced


class _Amount(click.FloatRange):
    """A number of at least 0 that single precision has room for."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not number <= LARGEST:
            self.fail(f"{value} is not a number from 0 to {LARGEST:g}.", param, ctx)
        return number


class _Share(_ParamType):
    """A number from 0 to 1, or nothing: then another option says it."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        if value == "":
            return ""
        try:
            share = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a share from 0 to 1. Write --gate behind DATA, or --gate=0.9.", param, ctx)
        if not 0 <= share <= 1:
            self.fail(f"{value} is not a share from 0 to 1.", param, ctx)
        return share


LARGEST = 1e38
NAMES = _Names()
FILE = click.Path(path_type=Path)
OUTPUT = _Output()


def _config(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    """Take the settings of a TOML file as defaults: a flag on the command line still wins."""
    if value is None:
        return
    try:
        settings = tomllib.loads(value.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read the configuration {value}: {error.strerror}; check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the configuration {value} is not TOML: {error}; correct it") from error
    known = _flags(context.command)
    given: dict[str, Any] = {}
    for key, setting in settings.items():
        option = known.get(key.replace("_", "-"))
        if option is None:
            raise SettingsError(
                f"the configuration {value} sets {key!r}, which {context.command_path} does not have;"
                " keys are the long flags without their dashes"
            )
        given[str(option.name)] = _as_typed(option, setting, f"the configuration {value}: {key!r}")
    context.default_map = {**(context.default_map or {}), **given}


def _flags(command: click.Command) -> dict[str, click.Option]:
    """Options of `command` by their long flags without dashes."""
    options = [option for option in command.params if isinstance(option, click.Option)]
    named = {flag[2:]: option for option in options for flag in option.opts if flag.startswith("--")}
    return {name: option for name, option in named.items() if name not in ("config", "help")}


def _as_typed(option: click.Option, setting: Any, where: str) -> Any:
    """A TOML value as it would stand on the command line, so that both are read alike."""
    if isinstance(setting, list) and (option.multiple or option.type is NAMES):
        return [_as_typed(option, part, where) for part in setting]
    if isinstance(setting, bool) and option.is_flag:
        return setting
    if isinstance(setting, bool | list | dict):
        kind = {bool: "true or false", list: "a list", dict: "a table"}[type(setting)]
        raise SettingsError(f"{where} is {kind}; write what --{option.opts[0].strip('-')} takes")
    return str(setting)


def stack(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Several decorators as one, shown in the order given."""

    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


config = click.option(
    "--config",
    type=FILE,
    callback=_config,
    is_eager=True,
    expose_value=False,
    help="TOML file of settings: flags without their dashes.",
)
json_file = click.option("--json", "json_file", type=OUTPUT, help="Also write the result as JSON.")
seed = click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of every random draw.")
threads = click.option("--threads", type=click.IntRange(1), help="Threads to use; all cores where not given.")
memory = click.option("--memory", help="Limit for sorting the log, e.g. 4GB.")
overwrite = click.option("--overwrite", is_flag=True, help="Replace what is there already.")
data_dir = click.option(
    "--data-dir", type=FILE, envvar="HEADSTART_DATA", help="Folder of data sets that are not packages."
)

reading = stack(
    click.option(
        "--format",
        "file_format",
        type=click.Choice(["parquet", "csv", "tsv", "arrow"]),
        help="Format of DATA; by its ending where not given.",
    ),
    click.option("--delimiter", help="Of a CSV file; detected where not given."),
    click.option(
        "--header/--no-header", default=None, help="Whether a CSV file starts with names; detected where not given."
    ),
    memory,
)

roles = stack(
    click.option("--user", help="Column whose values own the events; any entity will do."),
    click.option("--label", help="Outcome column (0 and 1, or ratings), or a rule such as 'rating>=4'."),
    click.option("--positive", help="Value of a string label that counts as 1."),
    click.option("--item", help="Column of items."),
    click.option("--time", help="Column of times."),
    click.option("--list", "list_column", help="Column of list ids: rows that were shown together."),
    click.option("--weight", help="Column of weights."),
    click.option("--offset", help="Column that is added to every margin."),
    click.option("--features", type=NAMES, help="Columns to use; every other column where not given."),
    click.option("--categorical", type=NAMES, help="Columns of numbers to treat as categories."),
    click.option("--drop", type=NAMES, help="Columns to leave out."),
)

source = stack(
    click.argument("data", required=False, type=FILE),
    click.option("--dataset", help="A ready data set instead of DATA; see headstart data list."),
    data_dir,
    roles,
    click.option(
        "--bag",
        "bags",
        multiple=True,
        metavar="NAME=a,b",
        help="A named set of columns; glmix reads item (what describes items) and user; may be repeated.",
    ),
    click.option(
        "--item-statistics/--no-item-statistics",
        default=None,
        help="Add popularity and mean label of the item, out of fold.",
    ),
    click.option("--max-onehot", type=click.IntRange(1), help="Categories up to which a column is one-hot. [256]"),
    click.option("--hash-buckets", type=click.IntRange(1), help="Columns of a hashed one. [1024]"),
    click.option("--min-events", type=click.IntRange(1), help="Leave out users with fewer events."),
    click.option("--max-events", type=click.IntRange(1), help="Keep only the last so many events of a user."),
    reading,
)

family = stack(
    click.option("--model", default="logistic", show_default=True, help="Model family, e.g. logistic or gbdt."),
    click.option(
        "--set", "hyper", multiple=True, metavar="NAME=VALUE", help="A hyper-parameter of the family; may be repeated."
    ),
)

training = stack(
    family,
    click.option(
        "--ticks", type=click.IntRange(1), help="T, ticks of global training; chosen on tune rows where not given."
    ),
    click.option(
        "--rate",
        type=_Amount(0, min_open=True),
        help="Size of local steps (gbdt: shrinkage); chosen on tune rows where not given.",
    ),
    click.option("--groups", type=click.IntRange(1), default=10, show_default=True, help="Abundance groups C."),
    click.option("--steps", type=click.IntRange(0), help="Local steps; T - t_u where not given."),
    click.option("--global-trees", type=click.IntRange(0), help="With --personal-trees: also the method fixed-A+B."),
    click.option("--personal-trees", type=click.IntRange(0), help="Steps of each user's own in fixed-A+B."),
    click.option(
        "--pull", type=_Amount(0), default=0.0, show_default=True, help="Strength of the anchor to the start."
    ),
    click.option("--l2", type=_Amount(0), help="L2 on the summed loss; the family's own where not given."),
    click.option("--momentum/--no-momentum", default=None, help="Nesterov momentum of global training."),
    click.option(
        "--tolerance",
        type=_Amount(0),
        default=0.0,
        show_default=True,
        help="Stop global training when it moves by less.",
    ),
    click.option(
        "--select",
        type=click.Choice(["logloss", "auc", "map", "mrr", "ndcg", "rmse", "mae"]),
        help="What settings are chosen by, on tune rows; where not given auc, and rmse for ratings.",
    ),
    click.option(
        "--tune",
        type=click.FloatRange(0, 1, max_open=True),
        default=0.2,
        show_default=True,
        help="Share of the training rows to choose settings on.",
    ),
    seed,
    click.option("--engine", help="Where personal models are trained: serial, threads, or one of a plugin."),
    threads,
)

gate = stack(
    click.option(
        "--gate",
        type=_Share(),
        is_flag=False,
        flag_value="",
        metavar="[SHARE]",
        help="Serve a personal model only where held-out rows say that it helps; SHARE as in --gate-keep.",
    ),
    click.option(
        "--gate-keep",
        type=click.FloatRange(0, 1),
        default=0.9,
        show_default=True,
        help="Share of the predicted gain that the gate keeps.",
    ),
)

judging = stack(
    click.option(
        "--at", "k", type=click.IntRange(1), help="Last rank that MAP, MRR and nDCG look at; all if not given."
    ),
    click.option("--bootstrap", type=click.IntRange(10), default=1000, show_default=True, help="Resamples of users."),
)

splitting = stack(
    click.option(
        "--split",
        type=click.Choice(["user-time", "time", "user-random", "last-k", "new-users", "random", "kfold"]),
        help="How test rows are held out; user-time where there is a time, else user-random.",
    ),
    click.option(
        "--test",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        default=0.2,
        show_default=True,
        help="Share of test rows.",
    ),
    click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Folds of kfold."),
    click.option("--last", type=click.IntRange(1), default=1, show_default=True, help="Test events a user of last-k."),
)
