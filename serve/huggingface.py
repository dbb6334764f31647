"""Read and answer requests as Hugging Face's containers do: RESPONSE_FORMAT=huggingface.

{"inputs": "text"} is answered by [{"label": ..., "score": ...}], as by transformers' pipeline
https://github.com/huggingface/transformers/blob/main/src/transformers/pipelines/text_classification.py
behind https://github.com/aws/sagemaker-huggingface-inference-toolkit. docs/your-model.md has the
differences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, NamedTuple

from model_handler import Handler, Scored, Text, outputs
from model_handler.outputs import Function
from serve import wire
from serve.errors import BadLine, BadRequest, clip
from serve.records import BadRecordError, Record, kind, pair, text

OFFERED = (wire.JSON, *wire.LINE_TYPES)
READABLE = (wire.JSON, wire.JSON_LINES)
EXPECTED = 'expected {"inputs": "text"}'
TOO_LONG = (
    'a text has more tokens than the model reads; shorten it, or leave out "truncation": false'
)


class Shape(Enum):
    """What "inputs" was: the shape of the answer depends on it."""

    TEXT = "a text"
    PAIR = "an object"
    LIST = "a list"


class Question(NamedTuple):
    """One object of a body: how many records it holds, and how they are to be answered.

    `top_k`: how many labels for each text, None for all; 0 where it was not given, which gives the
    best one, outside any list.
    """

    size: int = 1
    shape: Shape = Shape.PAIR
    top_k: int | None = 0
    function: Function | None = None
    truncation: bool = True


class Body(NamedTuple):
    """What wire.Body has: the records of all questions, in order; and the questions."""

    records: list[Record | BadLine]
    single: bool
    questions: Sequence[Question]


def usual(media_type: str) -> str:
    """Return the type of an answer where the client has not asked for one."""
    return wire.JSON if media_type == wire.JSON else wire.JSON_LINES


def read(body: bytes, media_type: str) -> Body:
    """Read a body of JSON or JSON Lines; raise what wire.read raises."""
    asked, single = wire.decode(body, media_type, _asked)
    records: list[Record | BadLine] = []
    questions: list[Question] = []
    for each in asked:
        question, found = (Question(), [each]) if isinstance(each, BadLine) else each
        questions.append(question)
        records += found
    if not records:
        raise BadRequest(f"the body holds no record; {EXPECTED}")
    return Body(wire.not_too_many(records), single, questions)


def needs_model(body: Body) -> bool:
    """Return whether the model decides what can be read: there are pairs, or no text may be cut."""
    uncut = not all(each.truncation for each in body.questions)
    return uncut or wire.needs_model(wire.Body(body.records))


def for_model(body: Body, handler: Handler, deadline: float) -> Body:
    """Replace what this model cannot read by the reason: pairs, and texts that may not be cut."""
    records = [*wire.for_model(wire.Body(body.records), handler, deadline).records]
    if not all(each.truncation for each in body.questions):
        may_be_cut = [each.truncation for each in body.questions for _ in range(each.size)]
        places = [
            (place, each)
            for place, each in enumerate(records)
            if isinstance(each, Record) and not may_be_cut[place]
        ]
        too_long = handler.too_long([each.text for _, each in places], deadline)
        for place, each in places:
            if each.text in too_long:
                records[place] = BadLine(each.number, TOO_LONG)
    return body._replace(records=records)


def answer(body: Body, scored: Scored, media_type: str) -> bytes:
    """Write one answer for each question, in order."""
    rows = iter(range(len(scored.predictions)))
    places = [next(rows) if isinstance(each, Record) else each for each in body.records]
    tables = {
        function: [] if scored.logits is None else outputs.apply(function, scored.logits)
        for function in {each.function or scored.function for each in body.questions}
    }
    names = list(map(str, scored.labels))
    mine = iter(places)
    values = []
    for question in body.questions:
        table = tables[question.function or scored.function]
        found = [
            {"error": each.reason}
            if isinstance(each, BadLine)
            else _labels(names, table[each], question.top_k)
            for each in (next(mine) for _ in range(question.size))
        ]
        values.append(found if question.shape is Shape.LIST else _one(found[0], question))
    return wire.encode(values, media_type, body.single)


def _one(found: Any, question: Question) -> Any:
    """Return the answer to a question that is no list; the pipeline puts one to a text into one."""
    best = isinstance(found, dict) and "error" not in found
    return [found] if best and question.shape is Shape.TEXT else found


def _labels(names: Sequence[str], scores: Sequence[float], top_k: int | None) -> Any:
    if top_k == 0:
        best = scores.index(max(scores))
        return {"label": names[best], "score": scores[best]}
    found = [{"label": name, "score": score} for name, score in zip(names, scores, strict=True)]
    return sorted(found, key=_score, reverse=True)[:top_k]


def _score(label: dict[str, Any]) -> float:
    return float(label["score"])


def _asked(number: int, value: Any) -> tuple[Question, list[Record | BadLine]] | BadLine:
    """Make a question and its records of one object, or give the reason why it is none."""
    try:
        if not isinstance(value, dict):
            raise BadRecordError(f"{EXPECTED}, not {kind(value)}")
        question = _question(value.get("parameters"))
        # The toolkit takes the object itself for the inputs where it has none.
        inputs = value.get("inputs", {key: value[key] for key in value if key != "parameters"})
        if isinstance(inputs, list):
            records = list(_items(number, inputs))
            return question._replace(size=len(records), shape=Shape.LIST), records
        if "inputs" not in value and "text" not in value:
            raise BadRecordError(f'no "inputs" in the object; {EXPECTED}')
        shape = Shape.PAIR if isinstance(inputs, dict) else Shape.TEXT
        one: list[Record | BadLine] = [Record(number, _text(inputs, '"inputs"'))]
        return question._replace(shape=shape), one
    except BadRecordError as error:
        return BadLine(number, str(error))


def _items(number: int, inputs: list[Any]) -> Iterator[Record | BadLine]:
    if not inputs:
        raise BadRecordError(f'"inputs" holds 0 items; {EXPECTED}')
    for place, item in enumerate(inputs, 1):
        try:
            yield Record(number, _text(item, f'item {place} of "inputs"'))
        except BadRecordError as error:
            yield BadLine(number, str(error))


def _text(value: Any, name: str) -> Text:
    return pair(value, name) if isinstance(value, dict) else text(value, name, EXPECTED)


def _question(parameters: Any) -> Question:
    """Read how a question is to be answered; raise BadRecordError that names what is wrong."""
    if parameters is None:
        return Question()
    if not isinstance(parameters, dict):
        raise BadRecordError(f'"parameters" holds {kind(parameters)}, not an object')
    known = {"top_k": _top_k, "function_to_apply": _function, "truncation": _truncation}
    question = Question()
    for name, value in parameters.items():
        if name not in known:
            hint = "; MAX_LENGTH or pack-model sets the length" if name == "max_length" else ""
            raise BadRecordError(
                f'"parameters" holds "{clip(name)}", which is not read; {", ".join(known)} are'
                f"{hint}"
            )
        question = known[name](question, value)
    return question


def _top_k(question: Question, value: Any) -> Question:
    # Numbers are decoded as floats: see serve/wire.py.
    whole = isinstance(value, float) and value.is_integer() and value >= 1
    if value is not None and not whole:
        raise BadRecordError('"top_k" must be a whole number from 1, or null for all labels')
    return question._replace(top_k=None if value is None else int(value))


def _function(question: Question, value: Any) -> Question:
    name = value.lower() if isinstance(value, str) else value
    if name is None or name == "default":
        return question
    if name not in list(Function):
        raise BadRecordError('"function_to_apply" must be sigmoid, softmax, none or default')
    return question._replace(function=Function(name))


def _truncation(question: Question, value: Any) -> Question:
    if not isinstance(value, bool):
        raise BadRecordError('"truncation" must be true or false')
    return question._replace(truncation=value)
