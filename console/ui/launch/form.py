"""The launch form: conditions, seeds, epochs, oversampling, any setting; what it would launch is checked as it is typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import DescendantBlur, DescendantFocus
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from console.format import counted
from console.results.next_steps.derive import origin
from console.results.next_steps.launch_choice import (
    LaunchChoice,
    Typed,
    choose,
    error_lines,
    seeds_text,
    split_settings,
)
from console.results.next_steps.setting_names import present_values
from console.ui.actions import bindings
from console.ui.launch.fields import ConditionList, SettingsField
from console.ui.messages import ExperimentChanged
from engine.contract.experiment import Experiment
from engine.contract.settings import seeds_of, value_text

_OVERSAMPLING = {"tier2": "curriculum_weights.tier2_robust", "tier3": "curriculum_weights.tier3_adversarial"}
_EPOCHS = "training.epochs"
_HASH_DIGITS = 12
_MAX_LISTED = 60  # runs with their settings hashes


class LaunchForm(ModalScreen[LaunchChoice | None], inherit_bindings=False):
    """What to launch; the result is what was chosen and confirmed, None for nothing.

    Args:
        ticked: the conditions that are ticked at first.
        outlook: what a choice would do and take, in lines; called in a thread.
        confirm: asks what a choice means, and calls the second argument if it is confirmed.
    """

    BINDINGS = bindings("launch")

    def __init__(
        self,
        experiment: Experiment,
        profile: str,
        ticked: Iterable[str],
        outlook: Callable[[LaunchChoice], tuple[str, ...]],
        confirm: Callable[[LaunchChoice, Callable[[], object]], None],
        *,
        id: str,
    ) -> None:
        super().__init__(id=id)
        self._experiment = experiment
        self._profile = profile
        self._ticked = tuple(ticked)
        self._outlook = outlook
        self._confirm = confirm

    def compose(self) -> ComposeResult:
        seeds = seeds_text(seeds_of(self._experiment, self._profile)).partition(" ")[2]
        with Vertical(id="launch"):
            yield Static(Content.styled(f"New runs of {self._experiment.name}, profile {self._profile}", "bold"))
            yield ConditionList(self._experiment, self._profile, self._ticked, id="launch-conditions")
            with Horizontal(classes="field"):
                yield Static("Seeds")
                yield Input(placeholder=f"all: {seeds}; new ones too, such as 42, 700-705", id="launch-seeds")
            with Horizontal(classes="field"):
                yield Static("Epochs")
                yield Input(id="launch-epochs")
                yield Static("tier 2 x", classes="more")
                yield Input(id="launch-tier2")
                yield Static("tier 3 x", classes="more")
                yield Input(id="launch-tier3")
            with Horizontal(classes="field"):
                yield Static("Settings")
                yield SettingsField(self._experiment, id="launch-any")
            with Horizontal(classes="field"):
                yield Static("Why")
                yield Input(placeholder="kept with what is added; else what is changed", id="launch-why")
            with VerticalScroll(id="launch-preview", can_focus=False):
                yield Static("", id="launch-text", markup=False)
            with Horizontal(id="launch-buttons"):
                yield Button("Launch, Ctrl+S", id="launch-go", compact=True, action="screen.launch_chosen")
                yield Button("Cancel, Esc", id="launch-cancel", compact=True, action="screen.cancel")
                yield Static("Tab next   Space ticks   Enter completes", markup=False)

    def on_mount(self) -> None:
        self._show_present()
        self._check()

    @property
    def typed(self) -> Typed:
        """What is in the fields now; no ticked condition is an error, not all of them."""
        settings = [f"{name}={value}" for name, value in self._own_fields() if value]
        line = self.query_one(SettingsField).input.value
        return Typed(
            self.query_one(ConditionList).names,
            self.query_one("#launch-seeds", Input).value,
            (*settings, *split_settings(line)),
        )

    def _own_fields(self) -> list[tuple[str, str]]:
        fields = {_EPOCHS: "#launch-epochs"} | {name: f"#launch-{tier}" for tier, name in _OVERSAMPLING.items()}
        return [(name, self.query_one(field, Input).value.strip()) for name, field in fields.items()]

    @on(ExperimentChanged)
    async def _use_experiment(self, message: ExperimentChanged) -> None:
        """Go on with the experiment as its file has it now; what is typed stays."""
        self._experiment = self.query_one(SettingsField).experiment = message.experiment
        old = self.query_one(ConditionList)
        conditions = ConditionList(self._experiment, self._profile, old.names, id="launch-conditions")
        had_focus = old.has_focus
        await old.remove()
        await self.query_one("#launch").mount(conditions, after=0)
        if had_focus:
            conditions.focus()
        self._show_present()
        self._check()

    @on(ConditionList.Ticked)
    def _conditions_changed(self) -> None:
        self._show_present()
        self._check()

    @on(Input.Changed)
    def _typed_in(self, event: Input.Changed) -> None:
        if event.input is self.query_one(SettingsField).input:
            self.query_one(SettingsField).show_completions()
        self._check()

    @on(DescendantFocus)
    @on(DescendantBlur)
    def _focus_moved(self) -> None:
        self.query_one(SettingsField).show_completions()

    def _show_present(self) -> None:
        """Show the values that the ticked conditions have."""
        present = _present(self._experiment, self._profile, self.query_one(ConditionList).names)
        self.query_one(SettingsField).present = present
        self.query_one("#launch-epochs", Input).placeholder = present.get(_EPOCHS, "")
        for tier, name in _OVERSAMPLING.items():
            self.query_one(f"#launch-{tier}", Input).placeholder = present.get(name, "")

    def choice(self, typed: Typed) -> LaunchChoice:
        """What ``typed`` means."""
        why = self.query_one("#launch-why", Input).value.strip() or " ".join(typed.settings) or "further seeds"
        return choose(self._experiment, self._profile, typed, origin(why, self._profile, ""))

    def _check(self) -> None:
        if typed := self.typed.conditions:
            self._check_typed(self.typed)
        if not typed:
            self.workers.cancel_group(self, "check")
            self._show(Content.styled("Tick a condition: Space, or a click.", "$text-warning"))

    @work(thread=True, exclusive=True, group="check")
    def _check_typed(self, typed: Typed) -> None:
        """Check ``typed`` in a thread: with many runs it takes longer than a key press may."""
        choice = self.choice(typed)
        outlook = () if choice.errors else self._outlook(choice)
        self.app.call_from_thread(self._show_choice, typed, choice, outlook)

    def _show_choice(self, typed: Typed, choice: LaunchChoice, outlook: tuple[str, ...]) -> None:
        if self.is_attached and typed == self.typed:  # else something else has been typed meanwhile
            self._show(_preview(choice, outlook))

    def _show(self, text: Content) -> None:
        self.query_one("#launch-text", Static).update(text)

    def action_scroll_text(self, by: int) -> None:
        self.query_one("#launch-preview").scroll_relative(y=4 * by, animate=False, immediate=True)

    def action_launch_chosen(self) -> None:
        """Have what is typed confirmed, unless it is wrong."""
        typed = self.typed
        if not typed.conditions:
            return
        choice = self.choice(typed)
        if not choice.errors:
            self._confirm(choice, lambda: self.call_later(self._close_with, choice))

    def _close_with(self, choice: LaunchChoice) -> None:
        self.dismiss(choice)

    def action_cancel(self) -> None:
        self.dismiss(None)


def _present(experiment: Experiment, profile: str, conditions: Iterable[str]) -> dict[str, str]:
    """Value of each setting by its name, as text: ``2``, or ``A 1.0, B 2.0`` where ``conditions`` differ."""
    values = {name: present_values(experiment, profile, name) for name in conditions if name in experiment.conditions}
    shown: dict[str, str] = {}
    for setting in next(iter(values.values()), {}):
        texts = {name: value_text(of[setting]) for name, of in values.items()}
        same = len(set(texts.values())) == 1
        shown[setting] = (
            next(iter(texts.values())) if same else ", ".join(f"{name} {text}" for name, text in texts.items())
        )
    return shown


def _preview(choice: LaunchChoice, outlook: tuple[str, ...]) -> Content:
    """What ``choice`` would launch, or what is wrong with it."""
    if choice.errors:
        return Content("\n").join(Content.styled(line, "$text-error") for line in error_lines(choice))
    lines = [Content.styled(line, "$text-success") for line in choice.lines]
    new = sum(one.is_new for one in choice.runs)
    total = counted(len(choice.runs), "run") + (f", {new} of them new" if new else "")
    lines += [Content.styled(total, "bold"), *map(Content, outlook)]
    lines += [
        Content.assemble(f"{one.run.label}  ", ("settings ", "$foreground-muted"), one.settings_hash[:_HASH_DIGITS])
        for one in choice.runs[:_MAX_LISTED]
    ]
    if (more := len(choice.runs) - _MAX_LISTED) > 0:
        lines.append(Content(f"and {more} more"))
    return Content("\n").join(lines)
