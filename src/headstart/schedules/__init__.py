"""Who leaves the path where: rules from users and their counts to t_u. They never see events."""

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
