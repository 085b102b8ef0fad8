"""Notifications from the host: what is told, once, and what a service that fails or hangs does to a run, which is nothing."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.format import GATE_LABELS
from console.hosts.agent import jobs, notify, process
from console.hosts.agent.caretaker import Caretaker
from console.hosts.agent.claims import Claim, claim
from console.hosts.agent.end_message import LABELS, message_of, one_line
from console.hosts.agent.launches import Launch, start_supervisor
from console.hosts.agent.lost_watch import LostWatch
from console.hosts.agent.run_record import record_end
from console.hosts.agent.supervisor import Supervisor
from console.hosts.agent.workspace import ABORT, Workspace, read_json, write_json
from console.hosts.remote.agent_package import agent_file
from engine.contract.file_lock import take_lock
from tests.console.notify_server import TOKEN, NotifyServer, notify_server
from tests.console.waiting import until

ENGINE = [sys.executable, "-I", "-m", "engine.cli", "notify"]
NO_APPRISE = "import sys; sys.modules['apprise'] = None; from engine.cli import main; sys.exit(main(['notify']))"
GATES = [
    {"gate": "retrieval_top1", "value": 0.4312, "threshold": 0.3, "passed": True},
    {"gate": "retrieval_top3", "value": 0.7, "threshold": 0.5, "passed": True},
    {"gate": "coherence_accuracy", "value": 0.712, "threshold": 0.8, "passed": False},
]
WRITE_METRICS = (
    f"import pathlib, sys; pathlib.Path(sys.argv[1], 'metrics.json').write_text({json.dumps({'gates': GATES})!r})"
)


@pytest.fixture
def service() -> Iterator[NotifyServer]:
    with notify_server() as running:
        yield running


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose agent is this process, started from the shipped file."""
    program = tmp_path / "agent.pyz"
    program.write_bytes(agent_file()[0])
    monkeypatch.setattr(sys, "argv", [str(program)])
    return Workspace(tmp_path / "host")


def claimed(workspace: Workspace, code: str = "", run: str = "A_seed42", command: list[str] = ENGINE) -> Claim:
    """A claimed launch of Python ``code``."""
    argv = [sys.executable, "-c", code, "{run}"]
    request = {"key": uuid.uuid4().hex, "folder": "scaling", "run": run, "argv": argv}
    found = claim(workspace, {**request, "notify": {"command": command, "host": "the\x1b[1m box"}})
    assert isinstance(found, Claim)
    return found


def supervised(workspace: Workspace, code: str, **more: Any) -> Claim:
    """A launch of Python ``code`` that has run to its end; its lock is free."""
    found = claimed(workspace, code, **more)
    Supervisor(workspace, found.key, found.lock).supervise()
    found.release()
    return found


def ended(workspace: Workspace, code: str) -> Claim:
    """As ``supervised``, by a supervisor in a process of its own, which has gone."""
    found = claimed(workspace, code)
    start_supervisor(workspace, found.key, found.job, found.lock)
    found.release()
    launch = Launch(workspace, found.key)
    until(lambda: (workspace.ended / found.key).exists() and not launch.is_supervised())
    return found


def logged(workspace: Workspace) -> list[dict[str, Any]]:
    return list(notify.log(workspace, {})["messages"])


def test_a_finished_run_is_told_with_its_gates_as_plain_text(service: NotifyServer, workspace: Workspace) -> None:
    notify.keep_urls(workspace, [service.url()])
    supervised(workspace, WRITE_METRICS)
    (entry,) = until(lambda: logged(workspace))
    (message,) = service.got
    assert message["title"] == "A/42 finished: top-1 43.1, coherence gate not passed"
    assert message["message"].splitlines() == [
        "scaling on the [1m box",
        "top-1 43.1, gate 30.0: passed",
        "top-3 70.0, gate 50.0: passed",
        "coherence 71.2, gate 80.0: not passed",
    ]
    assert message["type"] == "success"
    assert entry["outcomes"] == [{"url": "json://...", "error": ""}] and notify.problem(workspace) == ""


def test_a_failed_run_is_told_with_its_reason(service: NotifyServer, workspace: Workspace) -> None:
    notify.keep_urls(workspace, [service.url()])
    supervised(workspace, "import sys; print('no \\x1b]0;x\\x07<b>room</b>'); sys.exit(3)")
    until(lambda: service.got)
    assert service.titles() == ["A/42 failed: no ]0;x <b>room</b>"] and service.got[0]["type"] == "failure"


@pytest.mark.fault(
    "notification services hang, fail or are gone", "runs, seals, slots and relaunches are as without them"
)
def test_services_that_hang_or_fail_keep_neither_run_nor_seal_nor_slot(
    service: NotifyServer, workspace: Workspace
) -> None:
    gone = f"json://127.0.0.1:1/{TOKEN}"
    notify.keep_urls(workspace, [service.url("hangs"), service.url("fails"), gone, f"nosuch://{TOKEN}", service.url()])
    first = ended(workspace, "print('done')")
    until(lambda: len(service.got) == 3)  # and one of them hangs
    assert (read_json(first.run_folder / "manifest.json") or {})["key"] == first.key
    assert (workspace.ended / first.key / "job.json").exists(), "nothing is left to be done"
    commands = [" ".join(process.read_strings(int(entry.name), "cmdline")) for entry in Path("/proc").glob("[0-9]*")]
    assert any(f"notify {workspace.root}" in one for one in commands) and not any(TOKEN in one for one in commands)
    second = ended(workspace, "print('again')")  # the same run, in the same slot
    assert (read_json(second.run_folder / "state.json") or {})["state"] == "finished"
    assert not logged(workspace), "the first message is still being sent"
    service.released.set()
    until(lambda: len(logged(workspace)) == 2)
    errors = [[one["error"] for one in entry["outcomes"]] for entry in logged(workspace)]
    assert all(one[1] == "the service answered 500" and one[4] == "" and all(one[2:4]) for one in errors)
    assert service.titles() == ["A/42 finished"] * 2
    assert notify.problem(workspace).startswith("not sent to json://...")
    secret = TOKEN.encode()
    holding = [path.name for path in workspace.root.rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert holding == ["urls.json"]


def test_a_service_that_never_ends_its_answer_is_given_up(service: NotifyServer, tmp_path: Path) -> None:
    message = {"title": "title", "body": "body", "kind": "info"}
    reasons = notify.send(ENGINE, message, [service.url("hangs")], str(tmp_path), seconds=1.0)
    assert reasons == ["no answer within 1 s"]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ([sys.executable, "-c", NO_APPRISE], "apprise is not installed here: pip install 'qllm-console[notify]'"),
        (["/nonexistent/python"], "the engine cannot be run: No such file or directory"),
        ([sys.executable, "-c", f"import sys; print('{TOKEN}', file=sys.stderr); sys.exit(4)"], "the engine ended with 4"),
        ([sys.executable, "-c", "print('[1, 2')"], "the engine ended with 0"),
        ([], "the engine's command is not known"),
    ],
)  # fmt: skip
def test_an_environment_that_cannot_send_is_named_and_costs_nothing(
    workspace: Workspace, command: list[str], reason: str
) -> None:
    notify.keep_urls(workspace, [f"json://127.0.0.1/{TOKEN}"])
    done = supervised(workspace, "", command=command)
    (entry,) = until(lambda: logged(workspace))
    assert entry["outcomes"] == [{"url": "json://...", "error": reason}]
    assert (read_json(done.run_folder / "manifest.json") or {})["key"] == done.key


def test_an_abort_from_a_console_is_not_told_and_another_end_by_signal_is(
    service: NotifyServer, workspace: Workspace
) -> None:
    notify.keep_urls(workspace, [service.url()])
    for run, by_console in (("A_seed1", True), ("A_seed2", False)):
        found = claimed(workspace, run=run)
        if by_console:
            write_json(found.job / ABORT, {"by": "kim"})
        supervisor = Supervisor(workspace, found.key, found.lock)
        supervisor.terminated = True
        supervisor.supervise()
        found.release()
    until(lambda: logged(workspace))
    assert service.titles() == ["A/2 aborted: aborted by SIGTERM to its supervisor"]


def test_an_end_is_told_once_whoever_is_killed_when(service: NotifyServer, workspace: Workspace) -> None:
    notify.keep_urls(workspace, [service.url()])
    sealed, marked = claimed(workspace, run="A_seed1"), claimed(workspace, run="A_seed2")
    for found in (sealed, marked):  # their supervisors were killed after the seal, one before and one after the mark
        record_end(found.run_folder, found.key, "failed", "no reason")
        found.release()
    (marked.job / "told-end").touch()
    caretaker = Caretaker()
    caretaker.look(workspace)
    until(lambda: logged(workspace))
    assert not list(workspace.jobs.iterdir()), "both are over"
    for _ in range(2):
        caretaker.look(workspace)
        notify.tell_end(Launch(workspace, sealed.key))
    notify.wait_for_senders(60)
    assert service.titles() == ["A/1 failed: no reason"] and len(logged(workspace)) == 1


def lost_run(workspace: Workspace) -> Claim:
    """A run whose supervisor was killed while its job ran."""
    found = claimed(workspace)
    state = read_json(found.run_folder / "state.json") or {}
    gone = {"pid": 2**22 + 1, "start": 1, "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip()}
    write_json(found.run_folder / "state.json", {**state, "state": "running", "supervisor": gone})
    found.release()
    return found


def test_a_lost_run_is_told_once_by_whoever_finds_it_twice(service: NotifyServer, workspace: Workspace) -> None:
    notify.keep_urls(workspace, [service.url()])
    lost = lost_run(workspace)
    agent, supervisor = LostWatch(0.0, asks_slurm=True), LostWatch(0.0, asks_slurm=False)
    agent.look(workspace)
    supervisor.look(workspace)
    assert not (lost.job / "told-lost").exists(), "one look may fall between two steps of others"
    for watch in (supervisor, agent, agent):
        watch.look(workspace)
    notify.wait_for_senders(60)
    assert service.titles() == ["A/42 lost: its supervisor is gone"] and service.got[0]["type"] == "failure"


def test_neither_a_supervised_nor_a_queued_run_is_lost(service: NotifyServer, workspace: Workspace) -> None:
    notify.keep_urls(workspace, [service.url()])
    queued, lost = claimed(workspace, run="A_seed1"), lost_run(workspace)
    queued.release()
    lock = take_lock(lost.job / "lock", wait=False)
    assert lock is not None
    watch = LostWatch(0.0, asks_slurm=False)
    for _ in range(3):
        watch.look(workspace)
    os.close(lock)
    assert not notify.SENDERS or all(one.poll() is not None for one in notify.SENDERS)
    assert not service.got and not list(workspace.root.rglob("told-*"))


def test_a_supervisor_that_waits_tells_of_runs_that_are_lost(
    service: NotifyServer, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify.keep_urls(workspace, [service.url()])
    lost_run(workspace)
    other = claimed(workspace, run="A_seed1")
    supervisor = Supervisor(workspace, other.key, other.lock)
    supervisor.state["supervisor"] = process.identity(os.getpid())
    monkeypatch.setattr(supervisor, "_lost", LostWatch(0.0, asks_slurm=False))
    for _ in range(2):
        supervisor._last_beat = 0.0
        supervisor._beat()
    until(lambda: service.got)
    other.release()
    assert service.titles() == ["A/42 lost: its supervisor is gone"]


def test_urls_are_kept_for_their_user_alone_replaced_and_removed(workspace: Workspace) -> None:
    path, before = workspace.root / "notify" / "urls.json", os.umask(0)
    try:
        notify.keep_urls(workspace, ["json://one"])
    finally:
        os.umask(before)
    first = path.stat()
    assert stat.S_IMODE(first.st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    notify.keep_urls(workspace, ["json://one"])
    assert path.stat().st_ino == first.st_ino, "the same is not written again"
    notify.keep_urls(workspace, ("json://two", "json://three"))
    assert notify.kept_urls(workspace) == ["json://two", "json://three"]
    path.chmod(0o644)
    notify.keep_urls(workspace, ["json://two", "json://three"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for _ in range(2):
        notify.keep_urls(workspace, [])
        assert not list(path.parent.iterdir())


def test_a_launch_replaces_the_urls_and_is_not_kept_from_launching_by_them(workspace: Workspace) -> None:
    for urls, kept, problem in (
        (["json://one"], ["json://one"], ""),
        ({"no": "list"}, ["json://one"], "ValueError: notify is no list of at most 16 URLs"),
        ([], [], ""),
    ):
        reply = jobs.launch_all(workspace, {"requests": [], "notify": urls})
        assert reply == {"outcomes": []} | ({"notify": problem} if problem else {})
        assert notify.kept_urls(workspace) == kept
    assert jobs.launch_all(workspace, {"requests": []}) == {"outcomes": []}


@pytest.mark.parametrize("urls", [None, "json://x", {"a": 1}, [1], ["x" * 5000], ["x"] * 17])
def test_what_are_no_urls_is_refused_without_being_quoted(workspace: Workspace, urls: object) -> None:
    with pytest.raises(ValueError, match=r"^notify (is|holds)") as error:
        notify.keep_urls(workspace, urls)
    assert "x" not in str(error.value).replace("exp", "")


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"gates": 1}', '{"gates": [1]}', '{"gates": [{"gate": 1, "value": "x"}]}']
)
def test_metrics_that_cannot_be_read_still_make_a_message(workspace: Workspace, content: str) -> None:
    found = claimed(workspace)
    (found.run_folder / "metrics.json").write_text(content)
    message = message_of(found.launch, {"state": "finished"})
    found.release()
    assert message is not None and message["title"].startswith("A/42 finished")


def test_the_log_of_messages_stays_small_and_bad_lines_of_it_are_left_out(workspace: Workspace) -> None:
    workspace.prepare()
    notify.folder(workspace).mkdir()
    for number in range(2):
        notify._log(workspace, {"at": 1.0, "folder": "f", "text": f"{number} {'x' * notify.MAX_LOG}", "outcomes": []})
    path = notify.folder(workspace) / "log.jsonl"
    path.write_bytes(path.read_bytes() + b'{"at": "x"}\n[]\n\xff\n')
    notify._log(workspace, {"at": 2.0, "folder": "f", "text": "last", "outcomes": []})
    assert path.stat().st_size <= notify.MAX_LOG and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one["text"] for one in logged(workspace)] == ["last"]


@pytest.mark.parametrize(
    ("url", "shown"), [("tgram://123:abc/456", "tgram://..."), ("slack://T/O/K", "slack://..."), ("no url", "...")]
)
def test_only_the_scheme_of_a_url_is_shown(url: str, shown: str) -> None:
    assert notify.shown(url) == shown


def test_messages_name_metrics_as_the_console_does() -> None:
    assert LABELS == GATE_LABELS


def test_texts_of_messages_are_one_line() -> None:
    assert one_line("a\r\nb\x1b[2J\u202e\u2028c\ud800" + "d" * 50, 20) == "a b [2J c dddddddd..."[:17] + "..."


def test_the_sender_reads_bad_input_without_quoting_it(tmp_path: Path) -> None:
    done = subprocess.run(ENGINE, input=f'{{"urls": "{TOKEN}"'.encode(), capture_output=True, check=False)
    assert done.returncode == 2 and TOKEN.encode() not in done.stdout + done.stderr
