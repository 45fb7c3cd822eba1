"""An auth manager that can refuse people single DAGs, or parts of what DAGs show; else Airflow's simple one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser


class SomeDagsAuthManager(SimpleAuthManager):
    """Who isn't named in the tables has the rights of their role."""

    #: the ids of the DAGs that somebody may see, by name
    only: ClassVar[dict[str, set[str]]] = {}
    #: what somebody may see of no DAG, by name
    never: ClassVar[dict[str, DagAccessEntity]] = {}

    def is_authorized_dag(
        self,
        *,
        method: Any,
        user: SimpleAuthManagerUser,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        """As the tables say."""
        name, dag_id = user.get_name(), details.id if details else None
        if name in self.only and (dag_id not in self.only[name] if dag_id is not None else not self.only[name]):
            return False
        if access_entity is not None and self.never.get(name) == access_entity:
            return False
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
