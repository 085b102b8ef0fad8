"""Fields of the launch form: conditions to tick, and a line of settings that are completed as they are typed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from console.results.next_steps.setting_names import SettingName, find_setting, matching_settings
from console.ui.actions import bindings
from engine.contract.bad_input import BadInput
from engine.contract.experiment import USER_BUNDLES, Experiment
from engine.contract.settings import conditions_of

_NAME = re.compile(r"[^;,=\s]*$")
_SETTING = re.compile(r"([\w.\-]+)\s*=[^=]*$")
_VALUE_WIDTH = 14


class ConditionList(OptionList):
    """The conditions of a profile, each with its title; Space, Enter or a click ticks one.

    Args:
        ticked: those that are ticked at first.
    """

    BINDINGS = bindings("conditions")

    class Ticked(Message):
        """A condition was ticked, or no longer is."""

    def __init__(self, experiment: Experiment, profile: str, ticked: Iterable[str], *, id: str) -> None:
        self._conditions = {name: experiment.conditions[name] for name in conditions_of(experiment, profile)}
        self._ticked = set(ticked)
        lines = [self._line(name) for name in self._conditions]
        super().__init__(*lines, id=id, compact=True, markup=False)
        self.highlighted = next((at for at, name in enumerate(self._conditions) if name in self._ticked), 0)

    @property
    def names(self) -> tuple[str, ...]:
        """The ticked ones, in the order of the experiment."""
        return tuple(name for name in self._conditions if name in self._ticked)

    def _line(self, name: str) -> Content:
        one = self._conditions[name]
        mark = Content.styled("[x] ", "bold $text-success") if name in self._ticked else Content("[ ] ")
        text = f"{name}  {one.title}: {one.edition or USER_BUNDLES}, {one.curriculum}"
        return Content.assemble("Condition " if name == next(iter(self._conditions)) else " " * 10, mark, text)

    @on(OptionList.OptionSelected)
    def _tick(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        name = tuple(self._conditions)[event.option_index]
        self._ticked ^= {name}
        self.replace_option_prompt_at_index(event.option_index, self._line(name))
        self.post_message(self.Ticked())


class SettingsInput(Input):
    """The line of settings; keys go to the completions too."""

    BINDINGS = bindings("settings")

    class MoveRequested(Message):
        """Select another completion."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class CompletionRequested(Message):
        """Take the selected completion."""

    def action_move(self, by: int) -> None:
        self.post_message(self.MoveRequested(by))

    def action_complete(self) -> None:
        self.post_message(self.CompletionRequested())


class SettingsField(Vertical):
    """A line such as ``training.epochs=3; curriculum.tier3=2.0``, with completions by name below while it is typed in.

    Args:
        present: text of the value that the ticked conditions have, by the setting's name.
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.present: dict[str, str] = {}
        self._names: tuple[SettingName, ...] = ()

    def compose(self) -> ComposeResult:
        yield SettingsInput(
            placeholder="any setting by name: training.epochs=3; curriculum.tier3=2.0", id="launch-settings"
        )
        completions = OptionList(id="launch-completions", compact=True, markup=False)
        completions.can_focus = False
        completions.display = False
        yield completions

    @property
    def input(self) -> Input:
        """The line."""
        return self.query_one(SettingsInput)

    def show_completions(self) -> None:
        """Show what the name at the cursor may be, or what a value of the setting at the cursor is."""
        completions, line = self.query_one(OptionList), self.input
        typed = line.value[: line.cursor_position]
        self._names = self._at(typed)
        completions.display = line.has_focus and bool(self._names)
        completions.clear_options()
        completions.add_options(Option(self._line(one)) for one in self._names)
        if self._names:
            completions.highlighted = 0

    def _at(self, typed: str) -> tuple[SettingName, ...]:
        name = _NAME.search(typed)
        assert name is not None
        if name.group() or not typed.strip() or typed.rstrip()[-1] in ";,":
            before = typed[: name.start()].rstrip()
            if not before.endswith("="):
                return matching_settings(name.group())
        if setting := _SETTING.search(typed):
            try:
                return (find_setting(setting.group(1)),)
            except BadInput:
                return ()
        return ()

    def _line(self, one: SettingName) -> Content:
        """Name, present value and help on one line; a single one may take more."""
        width = max(len(other.name) for other in self._names) + 2
        present = self.present.get(one.name, "")[: _VALUE_WIDTH - 1]
        line = Content.assemble(
            one.name.ljust(width),
            (present.ljust(_VALUE_WIDTH), "$text-accent"),
            (f"{one.help}: {one.value}", "$foreground-muted"),
        )
        return line if len(self._names) == 1 else line.truncate(max(30, self.size.width - 2), ellipsis=True)

    @on(SettingsInput.MoveRequested)
    def _move(self, message: SettingsInput.MoveRequested) -> None:
        message.stop()
        completions = self.query_one(OptionList)
        if completions.display:
            if message.by > 0:
                completions.action_cursor_down()
            else:
                completions.action_cursor_up()

    @on(SettingsInput.CompletionRequested)
    def _take_highlighted(self, message: SettingsInput.CompletionRequested) -> None:
        message.stop()
        completions = self.query_one(OptionList)
        if completions.display and completions.highlighted is not None:
            self._take(completions.highlighted)

    @on(OptionList.OptionSelected)
    def _take_clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._take(event.option_index)

    def _take(self, index: int) -> None:
        """Put the name of a completion in place of what is typed of it."""
        line, name = self.input, self._names[index].name
        typed, rest = line.value[: line.cursor_position], line.value[line.cursor_position :]
        start = _NAME.search(typed)
        assert start is not None
        if typed[: start.start()].rstrip().endswith("="):
            return  # a value is being typed
        line.value = f"{typed[: start.start()]}{name}={rest}"
        line.cursor_position = start.start() + len(name) + 1
        line.focus()
