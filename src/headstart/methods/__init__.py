"""Ways to make models for users, each from training events to a `Fitted` that the one scorer understands."""

from headstart.methods.branch import METHODS, Branch, BranchSettings, branch, check, split_by_family
from headstart.methods.method import Method, Task

__all__ = ["METHODS", "Branch", "BranchSettings", "Method", "Task", "branch", "check", "split_by_family"]
