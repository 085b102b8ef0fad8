"""``docs/commands.md`` from the command line's parser; ``python -m tests.console.commands.commands_page`` writes it."""

from __future__ import annotations

import argparse
from pathlib import Path

from console.cli import parser

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"
INTRODUCTION = """# Commands

`qllm-console` opens the console; with a command it does one thing without a screen. Results go to stdout, progress and errors
to stderr. With `--json` stdout is JSON ([json.md](json.md)), with `--progress ndjson` stderr is, too. An error of input is
one line that names file, line and field.

This page is made from the command line itself: `python -m tests.console.commands.commands_page`.

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | a run failed, was aborted or lost, or is not synced; a launch, abort, preflight, sync, `notify` or `when_done` fell short |
| 2 | wrong usage or bad input; nothing was done |
| 3 | `wait`: the runs have ended otherwise, so that what was waited for cannot happen any more |
| 4 | the host cannot be reached, or needs the operator |
| 5 | a ship blocker failed under `--strict`; `results --exit-code`: do not ship |
| 7 | `results --exit-code`: undecided, or runs are missing |
| 124 | `--timeout` is over; what was launched or queued on the host continues |
| 130 | interrupted; runs continue |

## Completion

    eval "$(qllm-console --print-completion bash)"                    in ~/.bashrc; zsh: after compinit, in ~/.zshrc
    qllm-console --print-completion tcsh > ~/.qllm-console.tcsh       and `source ~/.qllm-console.tcsh` in ~/.tcshrc
    qllm-console --print-completion fish > ~/.config/fish/completions/qllm-console.fish

## In a browser

`qllm-console serve` prints an address and shows the console there, read-only: it launches, aborts and repairs nothing, adds
nothing to the experiment, records no decision and writes no file but the synced runs and host keys that are confirmed in the
page. `--read-write` lets the page do all that. It needs `pip install 'qllm-console[serve]'`.

It listens on 127.0.0.1 only. Another page in the same browser could send requests there, too; so every path begins with a
token of 192 random bits that is in the printed address and nowhere else, requests by another host name are refused (a site
that resolves to the loopback), and the socket that carries keys opens only for the page that this server delivered. Whoever
has the address has the console: do not pass it on. The page loads nothing from elsewhere. Each page runs a console of its own
(eight at most), which ends with the page.

From another machine, use a tunnel: `ssh -L 8000:127.0.0.1:8000 box`, and `serve --port 8000` on `box`. `--address` with
`--allow-remote` listens for other machines without encryption: whoever reads the network has the address, and so the console.
"""
SHARED = """They stand before the command or after it, the last two before it; `view` takes `--experiment` only.
"""
EXAMPLES: dict[str, tuple[str, ...]] = {
    "run": (
        "run --profile demo --json",
        "run --host ramp --detach",
        "run --condition A --set training.epochs=3 --seed 700-705 --dry-run",
        "run --condition B --seed 42 --restart --yes --timeout 7200 --progress ndjson",
    ),
    "status": ("status --host ramp --json",),
    "watch": ("watch --host ramp", "watch --json"),
    "wait": ("wait --until finished --condition A --timeout 3600", "wait --until A/42=running"),
    "logs": ("logs A/42 --level warning", "logs A/42 -f", 'logs --condition B --grep "loss !nan" --json'),
    "abort": ("abort --condition B --seed 42", "abort --all"),
    "restore": ("restore A/42", "restore A/42 --key 0123abcd"),
    "preflight": ("preflight --host ramp --repair",),
    "notify": ("notify --host ramp", "notify --host ramp --test"),
    "sync": (
        "sync pull --host ramp",
        "sync push data --to data --delete --max-delete 10%",
        "sync pull back --from logs",
    ),
    "serve": ("serve --port 8000", "serve --read-write --profile demo"),
    "results": ("results --exit-code", "results --markdown"),
    "compare": ("compare B A --csv", "compare A mean_pool"),
    "report": ("report --html results.html",),
    "curves": (
        "curves --metric dev.top1 --mean",
        "curves --metrics",
        "curves --metric loss --condition A --smoothing 0.9 --csv",
        "curves --metric loss --mean --svg loss.svg",
    ),
    "items": ("items --fixed-by B --over A", "items --kind retrieval --reason style_mismatch --json"),
    "decisions": ("decisions --json",),
    "decide": ('decide ship --condition B --reason "all gates pass"',),
    "derive": ("derive", "derive 2", 'derive 2 --parent B --change edited.toml --reason "tier1 regressed" --write'),
    "schema": ("schema", "schema results"),
    "view": ("view runs", "view copies/scaling --experiment configs/scaling.toml"),
}


def page() -> str:
    """The page: what all commands share, then a section for each command."""
    top = parser()
    parts = [INTRODUCTION, "## Options of every command\n", SHARED, _options(_own(top, set())), "## Commands\n"]
    shared = {option for action in _own(top, set()) for option in action.option_strings}
    for name, command in _commands(top).items():
        parts.append(f"### {name}\n\n{_help(top, name)}\n")
        directions = _commands(command)
        for direction, own in directions.items():
            parts.append(f"`{name} {direction}`\n\n{_options(_own(own, shared))}")
        if not directions:
            parts.append(_options(_own(command, shared)))
        parts.append("\n".join(f"    qllm-console {example}" for example in EXAMPLES[name]) + "\n")
    return "\n".join(part for part in parts if part)


def _commands(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _help(top: argparse.ArgumentParser, name: str) -> str:
    (commands,) = (one for one in top._actions if isinstance(one, argparse._SubParsersAction))
    (text,) = (one.help or "" for one in commands._choices_actions if one.dest == name)
    return f"{text[0].upper()}{text[1:]}."


def _own(command: argparse.ArgumentParser, shared: set[str]) -> list[argparse.Action]:
    return [
        one for one in command._actions
        if not isinstance(one, argparse._SubParsersAction)
        and one.dest != "help"
        and not (one.option_strings and shared.issuperset(one.option_strings))
    ]  # fmt: skip


def _options(actions: list[argparse.Action]) -> str:
    if not actions:
        return ""
    rows = [f"| `{_name(one)}` | {(one.help or '').replace('|', chr(92) + '|')} |" for one in actions]
    return "\n".join(["| option | |", "|---|---|", *rows, ""])


def _name(one: argparse.Action) -> str:
    value = one.metavar or ("{" + ",".join(map(str, one.choices)) + "}" if one.choices else one.dest.upper())
    value = str(value).replace("|", "\\|")
    if not one.option_strings:
        return value
    return ", ".join(one.option_strings) + ("" if one.nargs == 0 else f" {value}")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
