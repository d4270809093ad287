"""Collects what is wrong with a configuration, so that all of it is reported at once."""

from __future__ import annotations

from fynx.config.tree import Mark
from fynx.errors import Problem


class Wrong(ValueError):
    """A value that cannot be used: why, and what to write instead. Never holds a secret."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.remedy = remedy


class Problems:
    """Errors and warnings of one file, in the order of their places."""

    def __init__(self, file: str = "") -> None:
        self.file = file
        self._errors: list[Problem] = []
        self._warnings: list[Problem] = []

    def error(self, what: str, *, path: str = "", mark: Mark | None = None, remedy: str = "") -> None:
        self._errors.append(self._problem(what, path, mark, remedy))

    def warning(self, what: str, *, path: str = "", mark: Mark | None = None, remedy: str = "") -> None:
        self._warnings.append(self._problem(what, path, mark, remedy))

    def adopt(self, problem: Problem, *, path: str, mark: Mark | None) -> None:
        """A problem that a plugin found: its words, our place."""
        self.error(problem.what, path=path, mark=mark, remedy=problem.remedy)

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(sorted(self._errors, key=_place))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(sorted(self._warnings, key=_place))

    def _problem(self, what: str, path: str, mark: Mark | None, remedy: str) -> Problem:
        line, column = (mark.line, mark.column) if mark else (1, 1)
        return Problem(what, path=path, remedy=remedy, file=self.file, line=line, column=column)


def _place(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column
