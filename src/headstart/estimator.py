"""The scikit-learn face: a binary classifier with a model for every user."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart.data.blocks import EMPTY, Blocks
from headstart.data.features import FeatureMap
from headstart.data.frames import as_users, frame_or_none, is_numeric, with_parts
from headstart.data.log import read
from headstart.data.matrix import MatrixMap, Sample, blocks_by_user
from headstart.data.roles import FeatureSettings, Roles
from headstart.errors import DataError, ModelError
from headstart.evaluation import held_out
from headstart.kernels.dtypes import REAL
from headstart.engines import Engine, Serial, Threads
from headstart.methods.branch import leave
from headstart.methods.judgement import judge_model
from headstart.models.family import ModelFamily
from headstart.models.logistic import LogisticRegression
from headstart.schedules import ByAbundance, Schedule, UserTable
from headstart.scoring import Fitted, Scorer, load_model, save_model
from headstart.scoring.fitted import Features
from headstart.store import MemoryStore
from headstart.training import train_path

EVERYBODY = "everybody"
"""The one user where users are left out."""


class Personalizer(ClassifierMixin, BaseEstimator):
    """A binary classifier that gives each user a model of their own, started from the path of a global one.

    Arrays, sparse matrices and data frames of numbers are scaled inside (`MatrixMap`); a weight then means repetition,
    except that a schedule counts the rows of a user, those of weight 0 left out. Data frames with text, truth values or
    missing values become features as on the command line (`FeatureMap`).

    Parameters
    ----------
    family : `ModelFamily`; None: ``LogisticRegression()``
    schedule : who leaves the global path where; None: ``ByAbundance()``
    ticks : T, the length of the path; None: 100
    rate : size of local steps, as a share of 1 / (the user's own curvature bound)
    seed : of all that is random
    threads : how many to use; no number depends on it

    Attributes
    ----------
    classes_ : the two labels, sorted
    fitted_ : `Fitted`, what `headstart.Scorer` takes
    n_features_in_, feature_names_in_ : as everywhere in scikit-learn

    Notes
    -----
    ``users`` is metadata in the sense of scikit-learn. To search settings by cross-validation::

        sklearn.set_config(enable_metadata_routing=True)
        model = Personalizer().set_fit_request(users=True).set_score_request(users=True)
        GridSearchCV(model, {"rate": [0.1, 0.25]}).fit(X, y, users=users)
    """

    def __init__(
        self,
        family: ModelFamily | None = None,
        schedule: Schedule | None = None,
        ticks: int | None = None,
        rate: float = 0.25,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        self.family = family
        self.schedule = schedule
        self.ticks = ticks
        self.rate = rate
        self.seed = seed
        self.threads = threads

    def fit(self, X: Any, y: Any, users: Any = None, sample_weight: Any = None) -> Self:
        """Train the global model, and a model for each user.

        Parameters
        ----------
        X : (n, d) numbers, dense or sparse, or a data frame
        y : (n,) labels of two classes
        users : (n,) ids, whole numbers or text; None: everybody is one user
        sample_weight : (n,), none negative

        Raises
        ------
        ValueError
            where these cannot be used; those of Headstart's own are `DataError`
        """
        table = frame_or_none(X)
        framed = table is not None and not is_numeric(table)
        if framed:
            X, y = validate_data(self, X, y, skip_check_array=True)
        else:
            X, y = validate_data(self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32])
        y = _targets(X, y)
        weight = _weights(X, sample_weight)
        classes, label = np.unique(y, return_inverse=True)
        if len(np.unique(y[weight > 0])) < 2:
            raise DataError(f"y has one class only, {y[weight > 0][0]!r}; a classifier needs rows of both classes")
        ids = self._ids(users, len(y), users is not None)
        names = getattr(self, "feature_names_in_", [f"x{k}" for k in range(self.n_features_in_)])
        about = {
            "classes": classes.tolist(),
            "dtype": classes.dtype.str if classes.dtype.kind in "biufU" else "O",
            "n_features": self.n_features_in_,
            "names": list(names) if hasattr(self, "feature_names_in_") else None,
            "users": users is not None,
        }
        return self
