"""Records: create, read, list, update and delete the records of one resource type."""

from collections.abc import Iterator
from typing import Any

from domain.errors import InvalidInput, NotFound
from domain.permissions import Actor
from engine.access.cross_tenant_watch import watch_probes
from engine.access.permissions import authorize
from engine.input.checks import ROW_ID_OR_ZERO, ROWS, check, is_id
from engine.input.record_types import known_resource_type, parent_of
from engine.ports.platform import Platform
from models.base import Record, Work, records

_PAGE = 1000


def known_resource_types() -> list[str]:
    """Return the names of all resource types, the kinds of work included."""
    return list(records())


class Records:
    """The records of one resource type, for one actor; made by `Session.records`."""

    def __init__(self, platform: Platform, actor: Actor, resource_type: str) -> None:
        """Choose the resource type; nothing is read yet.

        Raises:
            InvalidInput: There is no such resource type.
        """
        self._platform = platform
        self._actor = actor
        self._model: type[Record] = known_resource_type(resource_type)

    @property
    def resource_type(self) -> str:
        """Return the name of the resource type."""
        return self._model.resource_type

    def create(self, /, **values: Any) -> dict[str, Any]:
        """Create a record and return it; references may be names.

        Raises:
            InvalidInput: A field or a value is not what was expected; nothing was stored.
            NotFound: A record that the values name isn't there.
            PermissionDenied: The actor may not.
            RuleRefused: It would be a child of work that can't be changed any more.
        """
        from engine.records.crud import create_record

        # Whoever may create a record may see what they created.
        return self._find(create_record(self._platform, self._actor, self.resource_type, values))

    def get(self, row_id: int, *, names: bool = False) -> dict[str, Any]:
        """Return all columns of a record, with its children and, for work, its warnings.

        With *names* other records are shown by their name; `site_id` becomes `site`.

        Raises:
            NotFound: There is no such record.
            PermissionDenied: The actor may not see it.
        """
        self.authorize_view()
        return self._find(row_id, names=names)

    def list(
        self,
        *,
        state: str | None = None,
        where: str | None = None,
        after: int = 0,
        limit: int = 50,
        names: bool = False,
    ) -> list[dict[str, Any]]:
        """Return a page of records in the order of their ids, from the first after id *after*.

        With *state* only those in one state, with *where* only those that a filter matches. With
        *names* other records are shown by their name; `site_id` becomes `site`.

        Raises:
            InvalidInput: There is no such state, or the records have none; the filter can't be
                read; *after* or *limit* is out of its range.
            NotFound: There is no record of a name in the filter.
            PermissionDenied: The actor may not see them.
        """
        from engine.input.filters import select_where
        from reads.records.records import list_records

        check("after", after, ROW_ID_OR_ZERO)
        check("limit", limit, ROWS)
        known_state = self._known_state(state)
        self.authorize_view()
        with self._platform.database.connect() as db:
            tenant_id = self._actor.tenant_id
            now = self._platform.clock(db)
            condition = None
            if where is not None:
                condition = select_where(db, tenant_id, self._model, where, now)
            return list_records(
                db,
                tenant_id,
                self.resource_type,
                state=known_state,
                meant=condition,
                after=after,
                limit=limit,
                names=names,
            )

    def each(
        self, *, state: str | None = None, where: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield all records in the order of their ids, read page by page; otherwise as `list`."""
        after = 0
        while page := self.list(state=state, where=where, after=after, limit=_PAGE):
            yield from page
            after = page[-1]["id"]

    def update(
        self, row_id: int, /, *, expected_version: int | None = None, **values: Any
    ) -> dict[str, Any]:
        """Write values to a record and return it.

        Raises:
            InvalidInput: A field or a value is not what was expected; nothing was changed.
            NotFound: There is no such record, or none that the values name.
            PermissionDenied: The actor may not.
            StaleVersion: The record has another version than *expected_version*.
            RuleRefused: It is work, or a child of work, that can't be changed any more.
        """
        from engine.records.crud import update_record

        update_record(
            self._platform,
            self._actor,
            self.resource_type,
            row_id,
            values,
            expected_version=expected_version,
        )
        return self._find(row_id)

    def delete(self, row_id: int, *, expected_version: int | None = None) -> int:
        """Delete a record softly; return the version of its deletion. Raises as `update`."""
        from engine.records.crud import delete_record

        return delete_record(
            self._platform,
            self._actor,
            self.resource_type,
            row_id,
            expected_version=expected_version,
        )

    def authorize_view(self) -> None:
        """Make sure that the actor may see these records.

        Raises:
            PermissionDenied: They may not; the denial is recorded.
        """
        viewed = parent_of(self._model) or self._model
        authorize(self._platform, self._actor, viewed.resource_type, "view")

    def _find(self, row_id: int, *, names: bool = False) -> dict[str, Any]:
        from reads.records.records import find_record

        if not is_id(row_id):
            raise NotFound(what=self.resource_type, got=row_id)
        watch = watch_probes(self._platform, self._actor, "view")
        with watch, self._platform.database.connect() as db:
            return find_record(db, self._actor.tenant_id, self.resource_type, row_id, names=names)

    def _known_state(self, state: str | None) -> str | None:
        if state is None:
            return None
        states = self._model.machine.states if issubclass(self._model, Work) else ()
        if state.upper() not in states:
            expected = f"one of {', '.join(states)}" if states else "none: it has no states"
            raise InvalidInput(field="state", got=state, expected=expected)
        return state.upper()
