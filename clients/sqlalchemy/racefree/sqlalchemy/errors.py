"""One class of errors for each SQLSTATE of racefree's own.

All other errors stay what SQLAlchemy makes of them: an IntegrityError for what
a constraint refuses, and so on.
"""

from __future__ import annotations

from typing import Optional

from sqlalchemy.exc import DBAPIError, MultipleResultsFound


def sqlstate(error: BaseException) -> Optional[str]:
    """The SQLSTATE of an error of SQLAlchemy or of its driver, if it has one."""
    cause = getattr(error, "orig", error)
    # psycopg2 has pgcode, psycopg and asyncpg sqlstate; SQLAlchemy's adapter of
    # asyncpg has either or both.
    found: Optional[str] = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return found


class RacefreeError(DBAPIError):
    """What racefree refuses."""

    #: of the class, and of what it was made from
    sqlstate: Optional[str] = None

    @property
    def message_primary(self) -> str:
        """What the server says, without detail, hint and statement."""
        return self._field("message_primary", "message") or str(self.orig)

    @property
    def message_detail(self) -> Optional[str]:
        return self._field("message_detail", "detail")

    @property
    def message_hint(self) -> Optional[str]:
        return self._field("message_hint", "hint")

    def _field(self, name: str, asyncpg_name: str) -> Optional[str]:
        diagnostics = getattr(self.orig, "diag", None)
        if diagnostics is None:
            # SQLAlchemy keeps asyncpg's own error as the cause of the one it makes.
            diagnostics, name = getattr(self.orig, "__cause__", None), asyncpg_name
        found: Optional[str] = getattr(diagnostics, name, None)
        return found


class InsufficientFunds(RacefreeError):
    """The payer's balance would fall below its floor."""

    sqlstate = "RF001"


class AccountNotFound(RacefreeError):
    """There is no such account, or row-level security hides it."""

    sqlstate = "RF002"


class RequestMismatch(RacefreeError):
    """The request id was used for something else."""

    sqlstate = "RF003"


class LimitExceeded(RacefreeError):
    """The payee's balance would rise above its ceiling."""

    sqlstate = "RF004"


class Mismatch(RacefreeError):
    """The accounts differ in a column in which they must be equal."""

    sqlstate = "RF005"


class OverReversed(RacefreeError):
    """More would be reversed than was moved."""

    sqlstate = "RF006"


class EntryNotFound(RacefreeError):
    """The journal has no such entry, or it moved nothing."""

    sqlstate = "RF007"


class AccountClosed(RacefreeError):
    """By the rules of the journal an account is closed."""

    sqlstate = "RF008"


class HoldNotFound(RacefreeError):
    """The journal has no such hold."""

    sqlstate = "RF009"


class HoldSettled(RacefreeError):
    """Nothing is left of the hold."""

    sqlstate = "RF010"


class HoldExpired(RacefreeError):
    """The hold has expired."""

    sqlstate = "RF011"


class OverPosted(RacefreeError):
    """More would be posted than is left of the hold."""

    sqlstate = "RF012"


class SeveralRows(RacefreeError, MultipleResultsFound):
    """Several rows match the key."""

    sqlstate = "21000"


_BY_SQLSTATE = {made.sqlstate: made for made in RacefreeError.__subclasses__()}


def translated(error: DBAPIError) -> DBAPIError:
    """The error as one of the classes above, or as it is."""
    made = _BY_SQLSTATE.get(sqlstate(error))
    if made is None or error.orig is None:
        return error
    return made(
        error.statement,
        error.params,
        error.orig,
        hide_parameters=error.hide_parameters,
        connection_invalidated=error.connection_invalidated,
        ismulti=error.ismulti,
    )
