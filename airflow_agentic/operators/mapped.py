"""
Tasks that Airflow repeats for each entry of a list that another task leaves (dynamic task mapping).

Airflow's own way, ``Operator.partial(…).expand(…)``, takes what a task needs through the operator's constructor and
copies it into the serialized DAG. Operators of a plan have no constructor, and the plan is none of the metadata
database's business. So a mapped task keeps its plan beside Airflow's settings, and hands it on to the operator that
does the work, together with its entry of the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg
from airflow.sdk.definitions._internal.contextmanager import DagContext, TaskGroupContext
from airflow.sdk.definitions._internal.expandinput import DictOfListsExpandInput
from airflow.sdk.definitions.mappedoperator import MappedOperator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import BaseOperator

#: The attribute of the operator that holds its entry of the list.
GIVEN = "given"


class PlannedMappedOperator(MappedOperator):
    """A mapped task of a plan; :func:`mapped` makes it."""

    #: what the operator that does the work gets beside its entry of the list, by attribute
    own: dict[str, Any]

    def unmap(self, resolve: Mapping[str, Any]) -> BaseOperator:
        """The operator that does the work of one mapped task, in the worker."""
        operator = super().unmap({})
        for name, value in {**self.own, **resolve}.items():
            setattr(operator, name, value)
        return operator


def mapped(
    operator_class: type[BaseOperator], task_id: str, *, over: BaseOperator, settings: Mapping[str, Any], **own: Any
) -> PlannedMappedOperator:
    """
    A task that is repeated for each entry of a list; its operator finds the entry in ``given``.

    :param task_id: as :class:`BaseOperator` takes it.
    :param over: the task whose output is the list.
    :param settings: arguments of :class:`BaseOperator`, ``task_id`` excepted.
    :param own: attributes that the operator gets.
    """
    dag = DagContext.get_current()
    group: Any = TaskGroupContext.get_current(dag)
    defaults = dag.default_args if dag is not None else {}
    operator = PlannedMappedOperator(
        operator_class=operator_class,
        expand_input=DictOfListsExpandInput({GIVEN: XComArg(over)}),
        expand_input_attr="expand_input",
        disallow_kwargs_override=False,
        partial_kwargs={**defaults, **settings},
        task_id=group.child_id(task_id) if group is not None else task_id,
        params={},
        operator_extra_links=operator_class.operator_extra_links,
        template_ext=operator_class.template_ext,
        template_fields=operator_class.template_fields,
        template_fields_renderers=operator_class.template_fields_renderers,
        ui_color=operator_class.ui_color,
        ui_fgcolor=operator_class.ui_fgcolor,
        is_empty=False,
        can_skip_downstream=False,
        task_module=operator_class.__module__,
        task_type=operator_class.__name__,
        operator_name=getattr(operator_class, "custom_operator_name", operator_class.__name__),
        start_trigger_args=None,
        start_from_trigger=False,
        dag=dag,
        task_group=group,
        start_date=None,
        end_date=None,
    )
    operator.own = own
    return operator
