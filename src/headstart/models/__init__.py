"""Model families, a file each. They do not know each other."""

from headstart.plugins import Catalogue

FAMILIES = Catalogue(
    kind="model",
    own={
        "logistic": "headstart.models.logistic:LogisticRegression",
        "gbdt": "headstart.models.gbdt:GradientBoosting",
    },
    reserved=dict.fromkeys(("mf", "fm"), "is not in this version"),
)
