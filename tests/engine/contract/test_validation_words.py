"""Messages of msgspec in words: every kind that the project's types can give, and none with its own text left."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from engine.contract.experiment import Name
from engine.contract.validation_words import error_in_words, problem_in


class Leaf(Struct, frozen=True, forbid_unknown_fields=True):
    epochs: int = 1


class Tree(Struct, forbid_unknown_fields=True):
    needed: int
    number: Annotated[float, Meta(ge=0.5, lt=2)] = 1.0
    positive: Annotated[int, Meta(gt=0, le=9)] = 1
    optional: int | float | None = None
    names: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=2)] = ("a",)
    pair: tuple[int, int] = (1, 2)
    text: Annotated[str, Meta(max_length=3)] = ""
    kind: Literal["one", "two"] = "one"
    kinds: dict[str, list[Literal["x", "y"]]] = {}
    flag: bool = False
    leaf: Leaf = Leaf()


@pytest.mark.parametrize(
    ("value", "field", "expected"),
    [
        ({"needed": "x"}, "needed", "must be a whole number, not text"),
        ({"needed": 1, "optional": []}, "optional", "must be a whole number or a number or nothing, not a list"),
        ({"needed": 1, "flag": 1}, "flag", "must be true or false, not a whole number"),
        ({"needed": 1, "leaf": 3}, "leaf", "must be a table, not a whole number"),
        ({"needed": 1, "number": 0.1}, "number", "must be a number of at least 0.5"),
        ({"needed": 1, "number": 2.5}, "number", "must be a number below 2"),
        ({"needed": 1, "number": float("nan")}, "number", "must be a number of at least 0.5"),
        ({"needed": 1, "positive": 0}, "positive", "must be a whole number of at least 1"),
        ({"needed": 1, "positive": 10}, "positive", "must be a whole number of at most 9"),
        ({"needed": 1, "names": []}, "names", "must not be empty"),
        ({"needed": 1, "names": ["a", "b", "c"]}, "names", "must be a list of at most 2 entries"),
        ({"needed": 1, "names": ["/"]}, "names", "must be up to 64 letters, digits and any of . _ -, beginning "),
        ({"needed": 1, "pair": [1]}, "pair", "must be a list of 2 entries, not 1"),
        ({"needed": 1, "text": "four"}, "text", "must be text of at most 3 characters"),
        ({"needed": 1, "kind": "three"}, "kind", "'three' is not one of: one, two"),
        ({"needed": 1, "kinds": {"a": ["z"]}}, "kinds.a", "'z' is not one of: x, y"),
        ({"needed": 1, "leaf": {"epocs": 2}}, "leaf.epocs", "there is no such setting; did you mean epochs?"),
        ({"needed": 1, "far": 2}, "far", "there is no such setting"),
        ({}, "needed", "is missing"),
        ([], "", "must be a table, not a list"),
    ],
)
def test_what_does_not_fit_is_said_in_words(value: Any, field: str, expected: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(value, Tree)
    words = problem_in(str(error.value), Tree, value).words
    assert words.startswith(expected)
    assert not any(mark in words for mark in ("Expected", "`", "Object", "Invalid"))


def test_an_error_is_said_behind_its_field() -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert({"needed": 1, "leaf": {"epochs": "x"}}, Tree)
    assert error_in_words(error.value) == "leaf.epochs: must be a whole number, not text"
    assert error_in_words(ValueError("as it is")) == "as it is"


def test_a_name_like_the_end_of_a_message_does_not_mislead() -> None:
    name = "x\n` - at `$.leaf`"
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(value := {"needed": 1, "leaf": {name: 2}}, Tree)
    assert problem_in(str(error.value), Tree, value) == ("there is no such setting", ("leaf", name))
