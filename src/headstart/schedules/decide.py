"""The one place where t_u and steps become a plan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.errors import SettingsError
from headstart.schedules.plan import Plan, Reason
from headstart.schedules.schedule import UserTable


def decide(
    users: UserTable, group: NDArray[np.int32], leave: NDArray[np.int32], ticks: int, steps: int | None, pull: float
) -> Plan:
    """A plan in which users leave at `leave` (U,) and take `steps` local steps, T - t_u of them where None.

    Users without training rows keep the whole path; so do those who would leave at its end and take no step.
    """
    if pull < 0 or (steps is not None and steps < 0):
        raise SettingsError(f"steps and pull must not be negative; got steps={steps}, pull={pull}")
    empty = users.events == 0
    leave = np.where(empty, np.int32(ticks), leave).astype(np.int32)
    local = ticks - leave if steps is None else np.full(len(leave), steps)
    local = np.where(empty, 0, local).astype(np.int32)
    reason = np.full(len(leave), Reason.PERSONAL, np.int8)
    reason[(leave >= ticks) & (local == 0)] = Reason.WHOLE_PATH
    reason[empty] = Reason.NO_TRAINING_ROWS
    return Plan(
        users=users.users,
        events=users.events,
        group=np.where(empty, 0, group).astype(np.int32),
        ticks=leave,
        steps=local,
        pull=np.full(len(leave), pull, np.float32),
        reason=reason,
    )
