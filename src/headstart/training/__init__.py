"""Global training that records its path, and personal training that leaves it."""

from headstart.training.loop import train_path
from headstart.training.newcomers import fold_in, personalise_later, personalise_model
from headstart.training.personalise import Shard, personalise

__all__ = ["Shard", "fold_in", "personalise", "personalise_later", "personalise_model", "train_path"]
