"""Fields of the launch form: conditions to tick, and a line of settings that are completed as they are typed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from console.results.next_steps.setting_names import SettingName, find_setting, matching_settings, possible_values
from console.ui.actions import bindings
from engine.contract.bad_input import BadInput
from engine.contract.experiment import USER_BUNDLES, Experiment
from engine.contract.settings import conditions_of

_NAME = re.compile(r"[^;,=\s]*$")
_SETTING = re.compile(r"([\w.\-]+)\s*=\s*([^=;]*)$")
_VALUE_WIDTH = 14


class ConditionList(OptionList):
    """The conditions of a profile, each with its title; Space, Enter or a click ticks one.

    Args:
        ticked: those that are ticked at first.
    """

    BINDINGS = bindings("conditions")

    class Ticked(Message):
        """Posted when a condition is ticked or unticked."""

    def __init__(self, experiment: Experiment, profile: str, ticked: Iterable[str], *, id: str) -> None:
        self._conditions = {name: experiment.conditions[name] for name in conditions_of(experiment, profile)}
        self._ticked = set(ticked)
        lines = [self._line(name) for name in self._conditions]
        super().__init__(*lines, id=id, compact=True, markup=False)
        self.highlighted = next((at for at, name in enumerate(self._conditions) if name in self._ticked), 0)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the ticked conditions, in the order of the experiment."""
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
        """Posted when a key selects another completion."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class CompletionRequested(Message):
        """Posted when a key takes the selected completion."""

    def action_move(self, by: int) -> None:
        self.post_message(self.MoveRequested(by))

    def action_complete(self) -> None:
        self.post_message(self.CompletionRequested())


class Completion(Struct, frozen=True):
    """What the end of a line may be completed to, from character ``start`` on; "" if it only tells what is typed there."""

    setting: SettingName
    start: int = 0
    text: str = ""
    value: str = ""


class SettingsField(Vertical):
    """A line such as ``training.epochs=3; curriculum.tier3=2.0``, with completions below while it is typed in.

    Attributes:
        present: text of the value that the ticked conditions have, by the setting's name.
        experiment: whose curricula can be chosen.
    """

    def __init__(self, experiment: Experiment, *, id: str) -> None:
        super().__init__(id=id)
        self.present: dict[str, str] = {}
        self.experiment = experiment
        self._shown: tuple[Completion, ...] = ()

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
        """The input in which settings are typed."""
        return self.query_one(SettingsInput)

    def show_completions(self) -> None:
        """Show what the name at the cursor may be, or what a value of the setting at the cursor is."""
        completions, line = self.query_one(OptionList), self.input
        self._shown = completions_of(line.value[: line.cursor_position], self.experiment)
        completions.display = line.has_focus and bool(self._shown)
        completions.clear_options()
        completions.add_options(Option(self._line(one)) for one in self._shown)
        if self._shown and line.value:  # Enter in an empty line takes none
            completions.highlighted = 0

    def _line(self, one: Completion) -> Content:
        """Name or value, present value and help on one line; a single one may take more."""
        if one.value:
            return Content.assemble(one.value, "  ", (f"{one.setting.name}: {one.setting.help}", "$foreground-muted"))
        setting = one.setting
        width = max(len(other.setting.name) for other in self._shown) + 2
        present = self.present.get(setting.name, "")[: _VALUE_WIDTH - 1]
        line = Content.assemble(
            setting.name.ljust(width),
            (present.ljust(_VALUE_WIDTH), "$text-accent"),
            (f"{setting.help}: {setting.value}", "$foreground-muted"),
        )
        return line if len(self._shown) == 1 else line.truncate(max(30, self.size.width - 2), ellipsis=True)

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
        """Put a completion in place of what is typed of it."""
        line, one = self.input, self._shown[index]
        if one.text:
            rest = line.value[line.cursor_position :]
            line.value = f"{line.value[: one.start]}{one.text}{rest}"
            line.cursor_position = one.start + len(one.text)
        line.focus()


def completions_of(typed: str, experiment: Experiment) -> tuple[Completion, ...]:
    """What the line ``typed`` may go on with at its end: names of settings, values of one, or what a value of it is."""
    told: tuple[Completion, ...] = ()
    if setting := _SETTING.search(typed):
        try:
            named = find_setting(setting.group(1))
        except BadInput:
            return ()
        value = setting.group(2)
        values = possible_values(named, value, experiment)
        if values and value.strip() not in values:
            return tuple(Completion(named, setting.start(2), one, one) for one in values)
        told = (Completion(named),)
        if " " not in value:  # a space may be the end of the value
            return told
    name = _NAME.search(typed)
    assert name is not None
    return tuple(Completion(one, name.start(), f"{one.name}=") for one in matching_settings(name.group())) or told
