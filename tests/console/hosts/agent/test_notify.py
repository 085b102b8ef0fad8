"""Notifications from the host: what is told, once, and what a service that fails or hangs does to a run, which is nothing."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from console.format import GATE_LABELS
from console.hosts.agent import jobs, notify, process, supervisor
from console.hosts.agent.caretaker import Caretaker
from console.hosts.agent.claims import Claim
from console.hosts.agent.end_message import LABELS, message_of, one_line
from console.hosts.agent.launches import Launch, start_supervisor
from console.hosts.agent.run_record import record_end
from console.hosts.agent.supervisor import Supervisor
from console.hosts.agent.workspace import ABORT, Workspace, read_json, write_json
from tests.console.hosts.agent.notifying import ENGINE, claimed, logged, service, workspace
from tests.console.notify_server import TOKEN, NotifyServer
from tests.console.waiting import until

__all__ = ["service", "workspace"]  # fixtures

NO_APPRISE = "import sys; sys.modules['apprise'] = None; from engine.cli import main; sys.exit(main(['notify']))"
GATES = [
    {"gate": "retrieval_top1", "value": 0.4312, "threshold": 0.3, "passed": True},
    {"gate": "retrieval_top3", "value": 0.7, "threshold": 0.5, "passed": True},
    {"gate": "coherence_accuracy", "value": 0.712, "threshold": 0.8, "passed": False},
]
WRITE_METRICS = (
    f"import pathlib, sys; pathlib.Path(sys.argv[1], 'metrics.json').write_text({json.dumps({'gates': GATES})!r})"
)


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


@pytest.mark.fault(
    "notification services hang, fail or are gone", "runs, seals, slots and relaunches are as without them"
)
def test_a_service_that_never_ends_its_answer_is_given_up(service: NotifyServer, tmp_path: Path) -> None:
    message = {"title": "title", "body": "body", "kind": "info"}
    reasons = notify.send(ENGINE, message, [service.url("hangs")], str(tmp_path), seconds=1.0)
    assert reasons == ["no answer within 1 s"]


def test_a_message_that_a_redirection_would_lose_counts_as_not_sent(service: NotifyServer, tmp_path: Path) -> None:
    """A client goes on with a GET, which the page there answers with 200 and without the message."""
    message = {"title": "title", "body": "body", "kind": "info"}
    assert notify.send(ENGINE, message, [service.url("moves")], str(tmp_path)) == ["the service answered 301"]


def test_an_answer_without_an_end_does_not_fill_the_memory_of_the_host(service: NotifyServer, tmp_path: Path) -> None:
    message = {"title": "title", "body": "body", "kind": "info"}
    (reason,) = notify.send(ENGINE, message, [service.url("floods")], str(tmp_path), seconds=600.0)
    assert reason == "MemoryError in apprise"


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


@pytest.mark.fault("who tells of a run's end is killed at any step", "it is told once")
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
        assert not path.exists()


def test_an_end_that_a_full_disk_does_not_take_is_told_while_it_waits_for_room(
    service: NotifyServer, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify.keep_urls(workspace, [service.url()])
    found = claimed(workspace, "import sys; sys.exit('OSError: [Errno 28] No space left on device')")
    told: list[bool] = []

    def full_until_told(path: Path, value: Any, durable: bool = True) -> None:
        if path.name == "exit.json" and not service.got:
            told.append(bool(list(found.job.glob("told-full"))))
            raise OSError(errno.ENOSPC, "No space left on device")
        write_json(path, value, durable)

    monkeypatch.setattr(supervisor, "write_json", full_until_told)
    monkeypatch.setattr(supervisor, "HEARTBEAT_S", 0.05)
    Supervisor(workspace, found.key, found.lock).supervise()
    found.release()
    until(lambda: len(service.got) == 2)
    full, recorded = service.titles()
    assert full == "A/42 failed: OSError: [Errno 28] No space left on device; not recorded yet: the host's disk is full"
    assert recorded == "A/42 failed: OSError: [Errno 28] No space left on device"
    assert told[0] is False and len(told) > 1


def test_a_mark_that_a_full_disk_does_not_take_keeps_only_that_message(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    assert notify._mark(workspace.root / "told-full") and not notify._mark(workspace.root / "told-end")


def test_a_message_fits_in_a_pipe_whatever_the_run_has_written(workspace: Workspace) -> None:
    found = claimed(workspace)
    gates = [{"gate": f"gate {number}" * 9, "value": 0.5, "threshold": 0.1} for number in range(100_000)]
    write_json(found.run_folder / "metrics.json", {"gates": gates})
    message = message_of(found.launch, {"state": "finished"})
    found.release()
    assert message is not None and len(json.dumps(message)) < 8192


def test_each_operator_is_told_of_the_runs_that_they_launched(service: NotifyServer, workspace: Workspace) -> None:
    """Another one who launches without ``notify``, or tests their own URLs, takes nobody's away."""
    notify.keep_urls(workspace, [service.url("kims")], "kim@laptop")
    jobs.launch_all(workspace, {"requests": [], "notify": [service.url("anns")], "operator": "ann@desk"})
    jobs.launch_all(workspace, {"requests": [], "notify": [], "operator": "bob@desk"})
    runs = (("A_seed3", "bob@desk"), ("A_seed1", "kim@laptop"), ("A_seed2", "ann@desk"))
    for number, (run, operator) in enumerate(runs):
        supervised(workspace, "", run=run, operator=operator)
        # the next supervisor in this process would end its sender as left behind
        until(partial(lambda expected: len(logged(workspace)) == expected, number))
    assert (service.titles("kims"), service.titles("anns")) == (["A/1 finished"], ["A/2 finished"])
    assert len(service.got) == 2
    jobs.launch_all(workspace, {"requests": [], "notify": [], "operator": "kim@laptop"})
    assert notify.is_wanted(workspace) and not notify.kept_urls(workspace, "kim@laptop")


def test_the_urls_of_a_few_operators_are_kept_the_last_ones(workspace: Workspace) -> None:
    for number in range(notify.MAX_OPERATORS + 1):
        notify.keep_urls(workspace, [f"json://{number}"], str(number))
    notify.keep_urls(workspace, ["json://again"], "1")
    notify.keep_urls(workspace, ["json://new"], "new")
    kept = json.loads((notify.folder(workspace) / "urls.json").read_text())["operators"]
    assert len(kept) == notify.MAX_OPERATORS and kept["1"] == ["json://again"] and "2" not in kept


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
