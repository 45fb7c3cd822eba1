"""
What a template means, by the words of the language alone: stages one after the other, loops as loops.

It follows ``docs/decisions/0010-control-flow.md`` sentence by sentence and knows nothing of Airflow, of plans, of
unrolling or of trigger rules; of the package it uses only the language's expressions. It is the reference against
which compiled DAGs are compared, so it is written to be read beside that page, not to be fast.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from support.flow_graph import SPECIAL, Graph, Loop, listed
from support.flow_stages import StageError, work

from airflow_agentic.template.expressions import ExpressionError, is_true, render, render_string

if TYPE_CHECKING:
    from collections.abc import Collection

#: The current round of each loop around a stage, the outermost first.
Rounds = dict[Loop, int]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """
    What a stage that decides has decided.

    :param route: its place in ``routes``, from 0; None for an error that is routed, and without routes.
    :param again: the target of the loop that begins its next round.
    """

    targets: tuple[str, ...] = ()
    route: int | None = None
    again: str | None = None
    fail: bool = False
    with_: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Execution:
    """
    A stage (or an artifact) in one round of each loop around it.

    :param path: the stage's name, after those of the pipelines around it.
    :param rounds: of the loops around it, the outermost first; those around its pipeline before.
    :param item: which of its items a pipeline around it is for, if it is repeated.
    :param state: ``ran``, ``failed``, ``skipped``, ``blocked`` (not run because of a failure), ``unsure`` (not run,
        for two reasons, or after such a stage).
    :param at: its rounds by the loops of its own scope.
    :param reached: the flow got here, whether it ran or not.
    :param calls: what its agents were asked: (item's index or None, agent, what it was given).
    """

    path: str
    rounds: tuple[int, ...]
    item: int | None
    state: str
    at: Rounds = field(repr=False)
    reached: bool = False
    output: Any = None
    kind: str | None = None
    decision: Decision | None = None
    calls: tuple[Any, ...] = ()

    @property
    def failing(self) -> bool:
        """It failed and was not routed, or something before it did."""
        return self.state == "blocked" or (self.state == "failed" and self.decision is None)


@dataclass(kw_only=True)
class Outcome:
    """A run, or an inner pipeline, at its end; its output is None unless it succeeded."""

    output: dict[str, Any] | None
    executions: list[Execution]
    artifacts: list[str | None] = field(default_factory=list)


def interpret(template: dict[str, Any], inputs: dict[str, Any]) -> Outcome:
    """Run a template (as parsed YAML, known to be valid) to its end."""
    defaults = {name: spec["default"] for name, spec in template.get("inputs", {}).items() if "default" in spec}
    return Interpreter(template, defaults | inputs).run()


class Interpreter:
    """
    One scope: a template, or one run of an inner pipeline.

    :param path: of the stage that it is, with a dot; empty for a template.
    :param rounds, item: of that stage.
    """

    def __init__(
        self,
        spec: dict[str, Any],
        inputs: dict[str, Any],
        path: str = "",
        rounds: tuple[int, ...] = (),
        item: int | None = None,
    ) -> None:
        self.spec, self.inputs, self.path, self.rounds, self.item = spec, inputs, path, rounds, item
        self.graph = Graph(spec)
        self.done: dict[str, list[Execution]] = {name: [] for name in self.graph.nodes}
        self.feedback: dict[Loop, dict[str, Any]] = {}
        self.inner: list[Execution] = []

    def run(self) -> Outcome:
        """To the end."""
        self._region(None, {})
        executions = [each for found in self.done.values() for each in found]
        ended_by_fail = any(each.decision.fail for each in executions if each.decision)
        failed = ended_by_fail or any(each.failing and not self._handled(each) for each in executions)
        artifacts = [self.done[name][-1].output for name in self.graph.artifacts]
        return Outcome(
            output=None if failed else self._output(), executions=[*executions, *self.inner], artifacts=artifacts
        )

    def _output(self) -> dict[str, Any] | None:
        try:
            rendered: dict[str, Any] = render(self.spec.get("output", {}), self._values({}))
        except ExpressionError:
            return None
        return rendered

    # -- loops ---------------------------------------------------------------------------------------------------------

    def _region(self, loop: Loop | None, at: Rounds) -> None:
        """Everything in a loop's body, or in the scope, once; the loops inside as a whole."""
        for unit in self.graph.units(loop):
            if isinstance(unit, Loop):
                self._loop(unit, at)
            else:
                self.done[unit].append(self._stage(unit, at))

    def _loop(self, loop: Loop, at: Rounds) -> None:
        """Rounds, until the loop's source doesn't go back."""
        self.feedback.pop(loop, None)
        for number in range(1, loop.max_rounds + 1):
            now = {**at, loop: number}
            self._region(loop, now)
            begun = self._begun(loop, now)
            if begun is None or any(self._begun(outer, now) for outer in at):
                return
            self.feedback[loop] = begun.with_

    def _begun(self, loop: Loop, at: Rounds) -> Decision | None:
        """The decision of the current round that begins the next one."""
        decided = [each.decision for each in self._seen(loop.source, at) if each.decision]
        return decided[-1] if decided and decided[-1].again == loop.target else None

    def _seen(self, name: str, at: Rounds) -> list[Execution]:
        """The executions of a stage that belong to the current rounds, oldest first."""
        found = self.done[name]
        return [each for each in found if all(at.get(loop, number) == number for loop, number in each.at.items())]

    # -- does the flow reach a stage? does it run? ---------------------------------------------------------------------

    def _stage(self, name: str, at: Rounds) -> Execution:
        rounds = self.rounds + tuple(at.values())
        blank = Execution(path=self.path + name, rounds=rounds, item=self.item, state="skipped", at=at)
        edges = self.graph.edges[name]
        if any(each.state == "unsure" for other in edges.all for each in self._seen(other, at)):
            return replace(blank, state="unsure")
        skipped = self._is_ended_by_fail(name, at) or not self._is_reached(name, at)
        if self._is_stopped(name, at):
            return replace(blank, state="unsure" if skipped else "blocked")
        if skipped:
            return blank
        if all(self._ran(other, at) for other in edges.required) and self._has_part(name, at):
            return self._execute(name, replace(blank, reached=True))
        return replace(blank, reached=True)

    def _ran(self, name: str, at: Rounds) -> bool:
        return any(each.state == "ran" for each in self._seen(name, at))

    def _has_part(self, name: str, at: Rounds) -> bool:
        """A merge needs a part that ran, well or not."""
        parts = self.graph.merged(name)
        return not parts or any(self._ran(part, at) or self._is_failing(part, at) for part in parts)

    def _is_reached(self, name: str, at: Rounds) -> bool:
        """Whether the flow gets here, as far as failures don't decide it."""
        edges = self.graph.edges[name]
        if self._starts_a_round(name, at):
            return True
        if not all(self._carries(other, name, at) or self._is_failing(other, at) for other in edges.required):
            return False
        if edges.named_by:
            return self._is_chosen(name, at) or self._is_stopped_by_naming(name, at)
        ways = (*edges.waiting, *edges.parts)
        if edges.required or not ways:
            return True
        return any(self._carries(other, name, at) or self._is_failing(other, at) for other in ways)

    def _is_chosen(self, name: str, at: Rounds) -> bool:
        decided = [each.decision for other in self.graph.edges[name].named_by for each in self._seen(other, at)]
        return any(name in decision.targets for decision in decided if decision)

    def _starts_a_round(self, name: str, at: Rounds) -> bool:
        """Is it the target of the loop of which a later round has just begun?"""
        later = [loop for loop, number in at.items() if number > 1]
        return bool(later) and later[-1].target == name

    def _carries(self, other: str, name: str, at: Rounds) -> bool:
        """An edge carries if it does in one of the rounds."""
        return any(
            each.reached and not each.failing and self._goes_on(each, other, name) for each in self._seen(other, at)
        )

    def _goes_on(self, each: Execution, other: str, name: str) -> bool:
        if not self.graph.decides(other):
            return True
        return each.decision is not None and self.graph.is_alive(name, each.decision.targets)

    # -- failures ------------------------------------------------------------------------------------------------------

    def _is_stopped(self, name: str, at: Rounds) -> bool:
        """Has something failed without which this stage doesn't run?"""
        failing = any(self._is_failing(other, at) for other in self.graph.edges[name].stopping)
        return failing or self._is_stopped_by_naming(name, at)

    def _is_stopped_by_naming(self, name: str, at: Rounds) -> bool:
        """Has something failed that might have named it? What names it only on error does so only if it ran."""
        edges = self.graph.edges[name]
        return any(
            self._is_failing(other, at, ("failed",) if other in edges.rescues else ("failed", "blocked"))
            for other in edges.named_by
        )

    def _is_failing(self, other: str, at: Rounds, states: Collection[str] = ("failed", "blocked")) -> bool:
        """A stage, or something in a loop around it that isn't around here."""
        around = [each for stage in self._left_loop(other, at) for each in self._seen(stage, at)]
        return any(each.failing and each.state in states for each in self._seen(other, at)) or any(
            each.failing and not self._handled(each) for each in around
        )

    def _left_loop(self, other: str, at: Rounds) -> frozenset[str]:
        """The stages of the outermost loop around ``other`` that isn't around here."""
        return next((loop.body for loop in self.graph.loops_of(other) if loop not in at), frozenset())

    def _is_ended_by_fail(self, name: str, at: Rounds) -> bool:
        """Whether it waits for a stage that chose ``fail``, or for a loop around such a stage."""
        waited = {stage for other in self.graph.edges[name].all for stage in (other, *self._left_loop(other, at))}
        return any(each.decision.fail for other in waited for each in self._seen(other, at) if each.decision)

    def _handled(self, failed: Execution) -> bool:
        """Everything that depends on it is a merge that did without it."""
        name = failed.path.rpartition(".")[2]
        readers = {other: edges for other, edges in self.graph.edges.items() if name in edges.all}
        return bool(readers) and all(
            name not in (*edges.stopping, *edges.named_by) and self._ran(other, failed.at)
            for other, edges in readers.items()
        )

    # -- what a stage does ---------------------------------------------------------------------------------------------

    def _values(self, at: Rounds) -> dict[str, Any]:
        """What texts can read here: of each stage the last execution that ran."""
        ran = {name: [each for each in self._seen(name, at) if each.state == "ran"] for name in self.graph.stages}
        values: dict[str, Any] = {name: found[-1].output for name, found in ran.items() if found}
        values["inputs"] = self.inputs
        if at:
            values["round"] = list(at.values())[-1]
            values["feedback"] = {key: value for loop in at for key, value in self.feedback.get(loop, {}).items()}
        return values

    def _execute(self, name: str, blank: Execution) -> Execution:
        values = self._values(blank.at) | self._error(name, blank.at)
        calls: list[Any] = []
        try:
            if name in self.graph.artifacts:
                content = render_string(self.graph.artifacts[name]["content"], values)
                return replace(blank, state="ran", output=content)
            condition = self.graph.stages[name].get("when")
            if condition is not None and not is_true(str(condition), values):
                return blank
            output = work(self, name, blank, values, calls)
        except StageError as error:
            decision = Decision(targets=(error.to,)) if error.to else None
            return replace(blank, state="failed", kind=error.kind, decision=decision, calls=tuple(calls))
        except ExpressionError:
            return replace(blank, state="failed", kind="failed", calls=tuple(calls))
        decision = self._decide(name, {**values, name: output}, blank.at)
        return replace(blank, state="ran", output=output, decision=decision, calls=tuple(calls))

    def _error(self, name: str, at: Rounds) -> dict[str, Any]:
        """The failure that led here, if one did."""
        for other in self.graph.edges[name].named_by:
            for each in self._seen(other, at):
                if each.state == "failed" and each.decision and name in each.decision.targets:
                    return {"error": {"stage": other, "kind": each.kind}}
        return {}

    def _decide(self, name: str, values: dict[str, Any], at: Rounds) -> Decision | None:
        """The first of the routes that holds."""
        if not self.graph.decides(name):
            return None
        for index, route in enumerate(self.graph.stages[name].get("routes", ())):
            if route.get("when") is not None and not is_true(str(route["when"]), values):
                continue
            if "back_to" not in route:
                return self._go_on(name, route["to"], index)
            loop = next(each for each in at if (each.source, each.target) == (name, route["back_to"]))
            if at[loop] < loop.max_rounds:
                return Decision(route=index, again=loop.target, with_=render(route.get("with", {}), values))
            return self._go_on(name, route.get("exhausted", "fail"), index)
        return self._go_on(name, "next", None)

    def _go_on(self, name: str, to: Any, index: int | None) -> Decision:
        targets = [target for target in listed(to) if target not in SPECIAL]
        targets += self.graph.next_of(name) if "next" in listed(to) else []
        return Decision(targets=tuple(targets), route=index, fail="fail" in listed(to))
