"""Who leaves the path where: rules that map users to t_u. They see a table of users and held-out losses, never events."""

from headstart.schedules.abundance import AsPrinted, ByAbundance
from headstart.schedules.catalogue import SCHEDULES
from headstart.schedules.fixed import Fixed, Last
from headstart.schedules.plan import Plan, Reason
from headstart.schedules.schedule import Borders, Losses, Schedule, Trials, UserTable

__all__ = [
    "SCHEDULES",
    "AsPrinted",
    "Borders",
    "ByAbundance",
    "Fixed",
    "Last",
    "Losses",
    "Plan",
    "Reason",
    "Schedule",
    "Trials",
    "UserTable",
]
