"""Model families, a file each. They do not know each other."""

from headstart.plugins import Catalogue

FAMILIES = Catalogue(
    kind="model",
    own={"logistic": "headstart.models.logistic:LogisticRegression"},
    reserved=dict.fromkeys(("gbdt", "mf", "fm"), "is not in this version"),
)
