"""An operator who answers as the test says, and remembers what was asked."""

from __future__ import annotations

from console.hosts.ssh.prompts import NobodyToAsk, Question


class ScriptedPrompter:
    """Gives ``answers`` in their order (None: would rather not); a question beyond them fails the test's connection."""

    def __init__(self, *answers: str | None) -> None:
        self.questions: list[Question] = []
        self._answers = list(answers)

    async def ask(self, question: Question) -> str | None:
        self.questions.append(question)
        if not self._answers:
            raise NobodyToAsk("the test has no answer to that")
        return self._answers.pop(0)
