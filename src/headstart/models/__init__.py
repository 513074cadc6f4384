"""Model families, a file each. They do not know each other."""

from headstart.plugins import Catalogue

FAMILIES = Catalogue(
    kind="model",
    own={
        "logistic": "headstart.models.logistic:LogisticRegression",
        "gbdt": "headstart.models.gbdt:GradientBoosting",
        "mf": "headstart.models.mf:MatrixFactorization",
        "fm": "headstart.models.fm:FactorizationMachine",
    },
)
