"""What goes wrong while a program is loaded, fed, trained or sampled."""

from __future__ import annotations


class RunError(Exception):
    """An error for the user: what is wrong, and how to mend it. The command line prints it without a traceback."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(f"{message}\n  help: {help}" if help else message)
        self.message, self.help = message, help


class RunWarning(UserWarning):
    """What a run tells its user while it goes on. The command line prints it on stderr."""
