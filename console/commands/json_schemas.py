"""Every schema of the JSON that commands print: its type and the commands that print it. ``qllm-console schema`` prints them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from console import exit_codes
from console.commands import answers
from console.commands.context import Context
from console.commands.output import print_line, table
from console.runs.launch_attempts import Outcome
from engine.contract.bad_input import BadInput


class Schema(Struct, frozen=True):
    """One schema: the type of its fields, and the commands that print it as their users type them."""

    name: str
    answer: type[Struct]
    commands: tuple[str, ...]
    is_line: bool = False

    @property
    def version(self) -> int:
        """Version of the schema."""
        return answers.SCHEMA_VERSIONS[self.name]


def schemas() -> tuple[Schema, ...]:
    """All schemas. Imports what the commands about results need, which takes a second."""
    from console.commands.result_answers import (
        DecisionsAnswer,
        DerivedAnswer,
        ItemsAnswer,
        NextStepsAnswer,
        results_answer,
    )
    from console.results.next_steps.decisions import Decision
    from console.results.report.pair import PairReport

    return (
        Schema("status", answers.StatusAnswer, ("status", "watch")),
        Schema("outcomes", answers.OutcomesAnswer, ("abort", "run --detach")),
        Schema("launch-choice", answers.LaunchChoiceAnswer, ("run --dry-run",)),
        Schema("set-aside", answers.SetAsideAnswer, ("restore RUN",)),
        Schema("restored", Outcome, ("restore RUN --key KEY",)),
        Schema("preflight", answers.PreflightAnswer, ("preflight",)),
        Schema("notify-test", answers.NotifyTestAnswer, ("notify --test",)),
        Schema("notify-log", answers.NotifyLogAnswer, ("notify",)),
        Schema("sync-runs", answers.SyncRunsAnswer, ("sync pull",)),
        Schema("sync-folder", answers.SyncFolderAnswer, ("sync push", "sync pull --from PATH")),
        Schema("results", results_answer(), ("results", "run")),
        Schema("comparison", PairReport, ("compare OURS THEIRS",)),
        Schema("report", answers.ReportAnswer, ("report --html FILE",)),
        Schema("items", ItemsAnswer, ("items",)),
        Schema("decisions", DecisionsAnswer, ("decisions",)),
        Schema("wait", answers.WaitAnswer, ("wait",)),
        Schema("transition", answers.TransitionLine, ("watch",), is_line=True),
        Schema("progress", answers.ProgressLine, ("run --progress ndjson", "sync --progress ndjson"), is_line=True),
        Schema("served", answers.ServedAnswer, ("serve",)),
        Schema("log-line", answers.LogLineAnswer, ("logs",), is_line=True),
        Schema("curves", answers.CurvesAnswer, ("curves",)),
        Schema("next-steps", NextStepsAnswer, ("derive",)),
        Schema("derived", DerivedAnswer, ("derive STEP",)),
        Schema("decision", Decision, ("decide DECISION --reason TEXT",)),
    )


def schema(context: Context) -> int:
    """Print one schema as JSON Schema, or the names of all."""
    known = {one.name: one for one in schemas()}
    name = context.options.name
    if name is None:
        print_line(table(("schema", "printed by"), [(one.name, ", ".join(one.commands)) for one in known.values()]))
        return exit_codes.DONE
    if name not in known:
        raise BadInput(f"no schema {name!r}; known: {', '.join(known)}", field="NAME")
    content = msgspec.json.encode(json_schema(known[name]))
    print_line(msgspec.json.format(content, indent=2).decode())
    return exit_codes.DONE


def json_schema(of: Schema) -> dict[str, Any]:
    """The schema as JSON Schema: the fields of the envelope, then those of the answer."""
    (root,), components = msgspec.json.schema_components((of.answer,), ref_template="#/$defs/{name}")
    body = components[root["$ref"].rpartition("/")[2]] if "$ref" in root else root
    head = {
        "schema": {"const": f"qllm-console.{of.name}"},
        "version": {"const": of.version},
        "command": {"type": "string"},
    }
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **body,
        "properties": head | body["properties"],
        "required": [*head, *body.get("required", [])],
        "$defs": components,
    }
    fields: dict[str, Any] = _with_null_numbers(whole)
    return fields


def _with_null_numbers(node: Any) -> Any:
    """``node`` where every number may be null, which stands for one that does not exist, such as a mean of nothing."""
    if isinstance(node, list):
        return [_with_null_numbers(one) for one in node]
    if not isinstance(node, dict):
        return node
    numbers = {"type": ["number", "null"]} if node.get("type") == "number" else {}
    return {name: _with_null_numbers(one) for name, one in node.items()} | numbers
