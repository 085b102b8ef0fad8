"""Logging in to a real server: keys, the agent, passphrases, passwords; and an operator who takes time to think."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncssh
import pytest
from msgspec.structs import replace

from console.hosts.ssh.access import Access, Timeouts
from console.hosts.ssh.errors import LinkDown, LoginRefused
from console.hosts.ssh.login import Login
from console.hosts.ssh.prompts import Question
from console.hosts.ssh.route import resolve_route
from tests.console.hosts.sshd import (
    ME,
    PASSWORD,
    ScriptedPrompter,
    Sshd,
    agent,
    connect,
    open_folder,
    require_root,
    started,
    write_key,
)

pytestmark = pytest.mark.server

SESAME = "sesame"


async def test_an_encrypted_key_asks_once_a_session(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    locked = asyncssh.generate_private_key("ssh-ed25519")
    write_key(tmp_path / "locked", locked, passphrase=SESAME)
    sshd.authorize(locked)
    prompter = ScriptedPrompter("wrong", SESAME)
    access = sshd.access(operator, prompter)
    host = replace(sshd.host(tmp_path), identity=str(tmp_path / "locked"))
    await connect(host, access)
    await connect(host, access)
    assert [question.secret for question in prompter.questions] == [True, True]
    assert "wrong passphrase, try again" in prompter.questions[1].lines
    assert SESAME not in repr(vars(access)) + str(prompter.questions)


async def test_keys_of_the_agent_are_used(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    with agent(sshd.identity) as path:
        access = Access(replace(sshd.files(operator), agent=path))
        assert await connect(replace(sshd.host(tmp_path), identity=None), access)
        config = f"Host *\n IdentityFile {tmp_path}/none\n IdentitiesOnly yes\n"
        access = Access(replace(sshd.files(operator, config=config), agent=path))
        with pytest.raises(LoginRefused):
            await connect(replace(sshd.host(tmp_path), identity=None), access)


async def test_a_missing_agent_is_skipped(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    assert await connect(sshd.host(tmp_path), Access(replace(sshd.files(operator), agent=str(tmp_path / "gone"))))


@pytest.mark.parametrize(
    "settings",
    [("PasswordAuthentication yes",), ("KbdInteractiveAuthentication yes", "UsePAM yes")],
    ids=["password", "PAM"],
)
async def test_a_password_is_asked_for_and_remembered_once_accepted(
    user: str, operator: Path, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    password = password_of(user)
    with open_folder() as folder, open_folder(user) as home, started(Sshd(folder, user, settings)) as sshd:
        prompter = ScriptedPrompter("wrong", password)
        access = sshd.access(operator, prompter)
        host = replace(sshd.host(home), identity=str(tmp_path / "none"))
        await connect(host, access)
        await connect(host, access)
    assert [(question.prompt, question.secret) for question in prompter.questions] == [("Password:", True)] * 2
    assert password not in repr(vars(access)) + str(prompter.questions)


async def test_a_refused_login_lists_what_was_tried(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    write_key(tmp_path / "stranger", asyncssh.generate_private_key("ssh-ed25519"))
    host = replace(sshd.host(tmp_path), identity=str(tmp_path / "stranger"))
    with pytest.raises(LoginRefused, match=f"refuses the login of {sshd.user}; tried 1 key$") as caught:
        await connect(host, sshd.access(operator))
    assert not caught.value.operator_asked


async def test_no_timeout_runs_while_the_operator_is_asked(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    write_key(tmp_path / "locked", sshd.client_key, passphrase=SESAME)
    timeouts = Timeouts(handshake=2.0)

    class Slow(ScriptedPrompter):
        async def ask(self, question: Question) -> str | None:
            await asyncio.sleep(1.2 * timeouts.handshake)
            return await super().ask(question)

    access = sshd.access(operator, Slow(SESAME), timeouts)
    assert await connect(replace(sshd.host(tmp_path), identity=str(tmp_path / "locked")), access)


async def test_a_question_is_withdrawn_when_the_server_hangs_up(operator: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hasty"
    folder.mkdir()
    withdrawn = asyncio.Event()

    class Asleep(ScriptedPrompter):
        async def ask(self, question: Question) -> str | None:
            try:
                await asyncio.Event().wait()
            finally:
                withdrawn.set()
            return None

    with started(Sshd(folder, ME, settings=("LoginGraceTime 1",))) as sshd:
        write_key(tmp_path / "locked", sshd.client_key, passphrase=SESAME)
        host = replace(sshd.host(tmp_path), identity=str(tmp_path / "locked"))
        with pytest.raises(LinkDown, match="connection lost"):
            await connect(host, sshd.access(operator, Asleep()))
    assert withdrawn.is_set()


async def test_a_servers_questions_are_asked_one_by_one_and_made_safe(
    sshd: Sshd, operator: Path, tmp_path: Path
) -> None:
    prompter = ScriptedPrompter("123456", "blue", None)
    access = sshd.access(operator, prompter)
    (hop,) = (await resolve_route(sshd.host(tmp_path), access.files)).hops
    async with asyncio.timeout(None) as deadline:
        login = Login(hop, access, deadline)
        asked = [("\x1b[2JCode: ", False), ("Colour\u202e? ", True)]
        answers = await login.kbdint_challenge_received("Two steps\x07", "Look at\nyour phone\x9b31m", "", asked)
        assert answers == ["123456", "blue"]
        assert await login.kbdint_challenge_received("", "", "", [("Code: ", False)]) is None
    first, second, _ = prompter.questions
    assert (first.prompt, first.secret) == ("Code:", True) and (second.prompt, second.secret) == ("Colour?", False)
    assert first.lines == ("Two steps", "Look at", "your phone")


def password_of(user: str) -> str:
    require_root()
    return PASSWORD
