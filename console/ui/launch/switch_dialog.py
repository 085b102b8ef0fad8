"""Dialog that chooses another host, profile or experiment file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from console.ui.actions import bindings
from console.ui.session_protocol import Switcher, Target
from engine.contract.bad_input import BadInput

_KEYS = "Tab goes to the next list, Up and Down choose. Runs continue on the host."


class ChoiceList(OptionList, inherit_bindings=False):
    """One choice of several, each a name and what it is; the chosen one is marked, whether the list has the focus or not."""

    BINDINGS = bindings("choices")

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, compact=True, markup=False)
        self._texts: tuple[tuple[str, str], ...] = ()
        self._marked: int | None = None

    @property
    def chosen(self) -> str | None:
        """The name of the chosen one; None without any."""
        return self._texts[self.highlighted][0] if self.highlighted is not None and self._texts else None

    def show(self, texts: Sequence[tuple[str, str]], chosen: str | None) -> None:
        """Show these, with ``chosen``, or the first, as the chosen one."""
        self._texts, self._marked = tuple(texts), None
        self.clear_options()
        self.add_options(Option(self._line(at, False)) for at in range(len(self._texts)))
        names = [name for name, _ in self._texts]
        if names:
            self.highlighted = names.index(chosen) if chosen in names else 0

    def _line(self, at: int, is_chosen: bool) -> Content:
        name, text = self._texts[at]
        mark = ("▸ ", "bold $text-accent") if is_chosen else "  "
        return Content.assemble(mark, (name, "bold"), f"  {text}" if text else "")

    @on(OptionList.OptionHighlighted)
    def _mark(self, event: OptionList.OptionHighlighted) -> None:
        if self.highlighted == self._marked or self.highlighted is None:
            return
        if self._marked is not None:
            self.replace_option_prompt_at_index(self._marked, self._line(self._marked, False))
        self._marked = self.highlighted
        self.replace_option_prompt_at_index(self._marked, self._line(self._marked, True))


class SwitchDialog(ModalScreen[Target | None], inherit_bindings=False):
    """Host, profile and experiment file; the result is what to open, None for nothing."""

    BINDINGS = bindings("switch")

    def __init__(self, switcher: Switcher) -> None:
        super().__init__()
        self._switcher = switcher
        self._files: dict[str, Path] = {}
        self._profiles_of: Path | None = None  # whose profiles are shown

    def compose(self) -> ComposeResult:
        with Vertical(id="switch"):
            yield Static(Content.styled("Open another host, profile or experiment", "bold"))
            for name, title in (("hosts", "Host"), ("profiles", "Profile"), ("files", "Experiment")):
                yield Static(Content.styled(title, "$foreground-muted"))
                yield ChoiceList(id=f"switch-{name}")
            yield Static("", id="switch-state", markup=False)
            with Horizontal(id="switch-buttons"):
                yield Button("Open, Enter", id="switch-open", compact=True, action="screen.open")
                yield Button("Cancel, Esc", id="switch-cancel", compact=True, action="screen.cancel")
            yield Static(_KEYS, markup=False)

    def on_mount(self) -> None:
        self._read_choices()

    def _list(self, name: str) -> ChoiceList:
        return self.query_one(f"#switch-{name}", ChoiceList)

    @work(thread=True, exclusive=True, group="choices")
    def _read_choices(self) -> None:
        """Read hosts and experiment files."""
        try:
            hosts, error = self._switcher.hosts(), ""
        except BadInput as wrong:
            hosts, error = (), str(wrong)
        self.app.call_from_thread(self._show_choices, hosts, self._switcher.files(), error)

    def _show_choices(self, hosts: tuple[tuple[str, str], ...], files: tuple[Path, ...], error: str) -> None:
        if not self.is_attached:
            return
        host, _, file = self._switcher.present
        self._files = {str(path): path for path in files}
        self._list("hosts").show(hosts, host)
        self._list("files").show([(path.name, str(path.parent)) for path in files], None)
        self._list("files").highlighted = list(files).index(file) if file in files else 0
        self._list("hosts").focus()
        self._say(error)

    @on(OptionList.OptionHighlighted, "#switch-files")
    def _file_chosen(self, event: OptionList.OptionHighlighted) -> None:
        self._read_profiles(self._file())

    def _file(self) -> Path:
        return tuple(self._files.values())[self._list("files").highlighted or 0]

    @work(thread=True, exclusive=True, group="profiles")
    def _read_profiles(self, file: Path) -> None:
        """Read the profiles of an experiment."""
        try:
            profiles, error = self._switcher.profiles(file), ""
        except BadInput as wrong:
            profiles, error = (), str(wrong)
        self.app.call_from_thread(self._show_profiles, file, profiles, error)

    def _show_profiles(self, file: Path, profiles: tuple[tuple[str, str], ...], error: str) -> None:
        if self.is_attached and file == self._file():
            self._profiles_of = file
            chosen = self._list("profiles").chosen or self._switcher.present[1]
            self._list("profiles").show(profiles, chosen)
            self._say(error)

    def _say(self, error: str) -> None:
        self.query_one("#switch-state", Static).update(Content.styled(error, "$text-error"))

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()  # a click only chooses: Enter opens

    def action_open(self) -> None:
        """Open what is chosen, once it has been read."""
        host, profile = self._list("hosts").chosen, self._list("profiles").chosen
        if host is not None and profile is not None and self._profiles_of == self._file():
            self.dismiss((host, profile, self._file()))

    def action_cancel(self) -> None:
        self.dismiss(None)
