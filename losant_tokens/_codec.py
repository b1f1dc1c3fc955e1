"""Models to and from JSON, through one cattrs converter made for this API.

Reading is strict about what is listed (a number is no text, a text no list) and lenient about
all else: unknown members go to `extra`, `null` counts as left out, enumerations are open.
Nothing here raises with an answer's content in sight of a traceback: what is wrong comes back as
a `Fault`, which names the place and the problem, and never the value.
"""

import json
from collections.abc import Callable, Generator, Iterator
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeVar, cast, get_args, get_origin

import attrs
from cattrs import AttributeValidationNote, Converter, IterableValidationNote
from cattrs.cols import homogenous_tuple_structure_factory
from cattrs.errors import BaseValidationError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from losant_tokens import _bodies as bodies
from losant_tokens import _models as models
from losant_tokens._secret import Secret

R = TypeVar("R")
Steps = Generator[None, None, R]

_SNAKE_ON_THE_WIRE = (bodies.OauthRequest, models.OauthDetails)


NOT_JSON: Final = object()
"""What comes of a content that is no JSON at all."""


_STEP = 100
"""So many items of a list are read in one step."""


def _readers_of_json() -> tuple[Callable[[bytes], object], ...]:
    """What to read JSON with; what the first does not take, the next one may.

    orjson is the fastest, and refuses half a surrogate pair, with which Python can live.
    """
    try:
        import orjson  # noqa: PLC0415 -- an extra
    except ImportError:
        return (json.loads,)
    return (orjson.loads, json.loads)


_LOADS: Final = _readers_of_json()


@attrs.frozen
class Fault:
    """What is wrong with an answer, and where (`$.items[3].scope`)."""

    problem: str
    path: str = "$"


class Codec:
    """Turns bodies into JSON, and JSON into answers."""

    def __init__(self) -> None:
        self._fast = make_converter()
        # Twice as slow, but it knows where it stood: asked only when the fast one has failed.
        self._explaining = make_converter(detailed_validation=True)

    @staticmethod
    def parse(content: bytes) -> object:
        """JSON as plain values, or `NOT_JSON`."""
        for loads in _LOADS:
            try:
                return loads(content)
            except (ValueError, RecursionError):
                continue
        return NOT_JSON

    def encode(self, body: bodies.Body) -> bytes:
        """A body as JSON; what is `None` is left out."""
        return json.dumps(self._fast.unstructure(body), separators=(",", ":")).encode()

    def decode(self, content: bytes, kind: type[R]) -> Steps[R | Fault]:
        """An answer as a model, or what is wrong with it.

        A long list is read in steps of about a millisecond, between which others may have the
        event loop.
        """
        data = self.parse(content)
        if data is NOT_JSON:
            return Fault("is not JSON")
        try:
            return (yield from self._structure(data, kind))
        except (_WrongKindError, KeyError):
            return self._explain(self.parse(content), kind)

    def _structure(self, data: Any, kind: type[R]) -> Steps[R]:
        items = data.get("items") if type(data) is dict else None
        if type(items) is not list or len(items) <= _STEP or not hasattr(kind, "items"):
            return self._fast.structure(data, kind)
        yield  # to parse so much took as long as some steps
        items_kind: Any = attrs.fields_dict(cast("type[Any]", kind))["items"].type
        read: list[Any] = []
        items.reverse()  # to take them from its end: what was read is let go, before it grows old
        while items:
            step = items[: -_STEP - 1 : -1]
            del items[-_STEP:]
            read += self._fast.structure(step, items_kind)
            yield
        page: Any = self._fast.structure(data, kind)
        return cast("R", attrs.evolve(page, items=tuple(read)))

    def _explain(self, data: object, kind: type) -> Fault:
        try:
            self._explaining.structure(data, kind)
        except BaseValidationError as error:
            cause, path = _first_leaf(error)
            if isinstance(cause, KeyError):  # a member without which the model cannot be
                return Fault("is missing", f"{path}.{cause.args[0]}")
            return Fault(str(cause) if isinstance(cause, _WrongKindError) else "is wrong", path)
        except _WrongKindError as error:
            return Fault(str(error))
        raise AssertionError("both converters follow the same rules")  # pragma: no cover


@cache
def codec() -> Codec:
    """The codec, made at its first use: generating its functions takes some milliseconds."""
    return Codec()


def make_converter(*, detailed_validation: bool = False) -> Converter:
    """A cattrs converter that speaks as Losant does.

    Args:
        detailed_validation: Whether its errors know where in the data they arose.
    """
    converter = Converter(detailed_validation=detailed_validation, forbid_extra_keys=False)
    for kind, name in ((str, "a text"), (int, "a whole number"), (bool, "true or false")):
        converter.register_structure_hook(kind, _exactly(kind, name))
    converter.register_structure_hook(datetime, _read_moment)
    converter.register_structure_hook(Secret, _read_secret)
    converter.register_structure_hook_func(_is(Literal[True]), _read_true)
    converter.register_structure_hook_factory(_is_tuple, _tuple_reader)
    converter.register_structure_hook_factory(_may_be_none, _present_reader)
    converter.register_unstructure_hook(datetime, write_moment)
    converter.register_unstructure_hook(Secret, Secret.reveal)
    converter.register_unstructure_hook(bodies.Never, _write_null)
    for answer in models.ANSWERS:
        converter.register_structure_hook_factory(_is(answer), _answer_reader)
    for body in (*bodies.BODIES, models.OrgRole, models.ResourceRole):
        converter.register_unstructure_hook_factory(_is(body), _body_writer)
    return converter


def write_moment(moment: datetime) -> str:
    """A date and time as the API writes it: `2016-06-13T04:00:00.000Z`."""
    utc = (moment - moment.utcoffset()).replace(tzinfo=None)  # type: ignore[operator]  # is aware
    return f"{utc.isoformat(timespec='milliseconds')}Z"


class _WrongKindError(Exception):
    """A value is of another JSON type than the model says. Never holds the value."""


def _wrong(wanted: str, value: object) -> _WrongKindError:
    return _WrongKindError(f"must be {wanted}, but it is {_JSON_NAMES.get(type(value), 'null')}")


_JSON_NAMES = {
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def _exactly(kind: type[R], name: str) -> Callable[[object, Any], R]:
    """A reader that converts nothing: cattrs would make the text `"1"` of the number 1."""

    def read(value: object, _: Any) -> R:
        if type(value) is not kind:
            raise _wrong(name, value)
        return value

    return read


def _read_moment(value: object, _: Any) -> datetime:
    if type(value) is str:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            if moment.tzinfo is not None:
                return moment
    raise _WrongKindError("must be a date and time with its zone, such as 2016-06-13T04:00:00.000Z")


def _read_secret(value: object, _: Any) -> Secret:
    if type(value) is not str:
        raise _wrong("a text", value)
    return Secret(value)


def _read_true(value: object, _: Any) -> Literal[True]:
    if value is not True:
        raise _WrongKindError("must be true, but it is not")
    return True


def _tuple_reader(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    item_kind, _ = get_args(kind)
    read_item = converter.get_structure_hook(item_kind)
    # cattrs' own reader knows at which item something went wrong, and takes longer for that.
    read_items: Callable[[Any, Any], Any] = (
        homogenous_tuple_structure_factory(kind, converter)
        if converter.detailed_validation
        else lambda items, _: tuple([read_item(item, item_kind) for item in items])
    )

    def read(value: object, kind: Any) -> Any:
        if type(value) is not list:
            raise _wrong("a list", value)
        return read_items(value, kind)

    return read


def _present_reader(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    """Reads what may be left out, where it is not: `null` never comes here, being left out."""
    (present,) = (option for option in get_args(kind) if option is not NoneType)
    return converter.get_structure_hook(present)


def _answer_reader(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    names = {name: wire for name, wire in _wire_names(kind) if name != "extra"}
    overrides: dict[str, Any] = {name: override(rename=wire) for name, wire in names.items()}
    read_listed = make_dict_structure_fn(
        kind,
        converter,
        _cattrs_detailed_validation=converter.detailed_validation,
        extra=override(omit=True),
        **overrides,
    )
    listed = frozenset(names.values())

    def read(value: object, kind: Any) -> Any:
        if type(value) is not dict:
            raise _wrong("an object", value)
        try:
            answer = read_listed(value, kind)
        except (_WrongKindError, BaseValidationError):
            if None not in value.values():
                raise
            # `null` counts as left out. It is looked for only here, since it is rare.
            value = {name: member for name, member in value.items() if member is not None}
            answer = read_listed(value, kind)
        if not value.keys() <= listed:
            extra = {
                name: member
                for name, member in value.items()
                if name not in listed and member is not None
            }
            object.__setattr__(answer, "extra", extra)  # frozen for everybody else
        return answer

    return read


def _body_writer(kind: Any, converter: Converter) -> Callable[[Any], dict[str, Any]]:
    overrides: dict[str, Any] = {
        attribute.name: override(rename=wire, omit_if_default=attribute.default is None)
        for attribute, (_, wire) in zip(attrs.fields(kind), _wire_names(kind), strict=True)
    }
    if "extra" in overrides:
        overrides["extra"] = override(omit=True)
    return make_dict_unstructure_fn(kind, converter, **overrides)


def _write_null(_: bodies.Never) -> None:
    return None


def _wire_names(kind: Any) -> Iterator[tuple[str, str]]:
    """The attributes of a model, each with its name on the wire."""
    for attribute in attrs.fields(kind):
        as_it_is = attribute.name if kind in _SNAKE_ON_THE_WIRE else _camel(attribute.name)
        yield attribute.name, attribute.metadata.get("wire", as_it_is)


def _camel(snake: str) -> str:
    first, *others = snake.split("_")
    return first + "".join(map(str.capitalize, others))


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _may_be_none(kind: Any) -> bool:
    return isinstance(kind, UnionType) and NoneType in get_args(kind)


def _is(kind: object) -> Callable[[Any], bool]:
    return lambda other: other == kind


def _first_leaf(error: BaseValidationError, path: str = "$") -> tuple[BaseException, str]:
    """The first thing that went wrong, and the path to it in the names of the wire."""
    first = error.exceptions[0]
    if isinstance(first, KeyError):  # a member is missing: there is no step to it
        return first, path
    deeper = path + _step(error.cl, first.__notes__)
    if isinstance(first, BaseValidationError):
        return _first_leaf(first, deeper)
    return first, deeper


def _step(kind: Any, notes: Any) -> str:
    """The step into an answer that cattrs noted: to a member of a model, or an item of a list."""
    note = next(n for n in notes if isinstance(n, AttributeValidationNote | IterableValidationNote))
    if isinstance(note, IterableValidationNote):
        return f"[{note.index}]"
    return f".{dict(_wire_names(kind))[note.name]}"
