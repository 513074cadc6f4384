"""Every error that Headstart raises on purpose.

::

    HeadstartError
     ├─ InputError            the caller's input or settings; the command line prints one line and exits with 2
     │   ├─ DataError         the event log: columns, types, values
     │   ├─ SettingsError     options, names of models and methods, configuration files
     │   └─ ModelError        a stored model: missing, damaged, of another version, in the way
     └─ WorkError             work that failed half-way: names who, which stage and with what

A message says what was found, where, and how to go on.
"""

from __future__ import annotations


class HeadstartError(Exception):
    """Base of all errors raised on purpose."""


class InputError(HeadstartError):
    """What the caller gave cannot be used as it is."""


class DataError(InputError, ValueError):
    """The event log cannot be used as it is."""


class SettingsError(InputError, ValueError):
    """An option, a name or a configuration file cannot be used as it is."""


class ModelError(InputError):
    """A stored model is missing, damaged, of another version, or in the way."""


class WorkError(HeadstartError):
    """A piece of work failed.

    Parameters
    ----------
    stage : what was being done, e.g. ``"personal training"``
    who : which item of work, e.g. ``"shard 3 (users 'a' to 'k')"``
    cause : what went wrong
    """

    def __init__(self, stage: str, who: str, cause: BaseException) -> None:
        super().__init__(f"{stage} failed at {who}: {type(cause).__name__}: {cause}")
        self.stage, self.who = stage, who
        self.__cause__ = cause
