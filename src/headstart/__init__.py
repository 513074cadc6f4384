"""Headstart: a model of their own for every user, started from a global one.

Names are loaded when first asked for, so that ``import headstart`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "AsPrinted": "headstart.schedules",
    "Blocks": "headstart.data.blocks",
    "ByAbundance": "headstart.schedules",
    "EventLog": "headstart.data.log",
    "FactorizationMachine": "headstart.models.fm",
    "FeatureMap": "headstart.data.features",
    "FeatureSettings": "headstart.data.roles",
    "Fitted": "headstart.scoring",
    "Fixed": "headstart.schedules",
    "GlobalPath": "headstart.path",
    "GradientBoosting": "headstart.models.gbdt",
    "HeadstartError": "headstart.errors",
    "Last": "headstart.schedules",
    "LogisticRegression": "headstart.models.logistic",
    "MatrixFactorization": "headstart.models.mf",
    "MemoryStore": "headstart.store",
    "Personalizer": "headstart.estimator",
    "Roles": "headstart.data.roles",
    "SaveAt": "headstart.path",
    "Scorer": "headstart.scoring",
    "Serial": "headstart.engines",
    "Threads": "headstart.engines",
    "load_model": "headstart.scoring",
    "personalise": "headstart.training",
    "read": "headstart.data.log",
    "save_model": "headstart.scoring",
    "train_path": "headstart.training",
}

__all__ = ["__version__", *sorted(_EXPORTS)]

if TYPE_CHECKING:
    from headstart.data.blocks import Blocks as Blocks
    from headstart.data.features import FeatureMap as FeatureMap
    from headstart.data.log import EventLog as EventLog
    from headstart.data.log import read as read
    from headstart.data.roles import FeatureSettings as FeatureSettings
    from headstart.data.roles import Roles as Roles
    from headstart.engines import Serial as Serial
    from headstart.engines import Threads as Threads
    from headstart.errors import HeadstartError as HeadstartError
    from headstart.estimator import Personalizer as Personalizer
    from headstart.models.fm import FactorizationMachine as FactorizationMachine
    from headstart.models.gbdt import GradientBoosting as GradientBoosting
    from headstart.models.logistic import LogisticRegression as LogisticRegression
    from headstart.models.mf import MatrixFactorization as MatrixFactorization
    from headstart.path import GlobalPath as GlobalPath
    from headstart.path import SaveAt as SaveAt
    from headstart.schedules import AsPrinted as AsPrinted
    from headstart.schedules import ByAbundance as ByAbundance
    from headstart.schedules import Fixed as Fixed
    from headstart.schedules import Last as Last
    from headstart.scoring import Fitted as Fitted
    from headstart.scoring import Scorer as Scorer
    from headstart.scoring import load_model as load_model
    from headstart.scoring import save_model as save_model
    from headstart.store import MemoryStore as MemoryStore
    from headstart.training import personalise as personalise
    from headstart.training import train_path as train_path


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    try:
        value = getattr(import_module(_EXPORTS[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "sklearn":
            raise
        from headstart.errors import SettingsError

        raise SettingsError(f"headstart.{name} needs scikit-learn: pip install 'headstart[sklearn]'") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
