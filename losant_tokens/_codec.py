"""Models to and from JSON, through one cattrs converter made for this API.

Types are strict: a number is not a string, and a string is not a list. Everything else is lenient:
members without an attribute go to `extra`, `null` means absent, and enumerations are open.

A member of the wrong type does not spoil its neighbours. Its attribute keeps its default, the
model's `unreadable` names it, and `extra` keeps the raw value. A model without a member that it
needs, such as a token without an id, cannot be read; in a list, its raw value goes to
`unreadable_items` and the other items are read. Roles are all or nothing, because a role that was
read in part would be written back in part. The fast path does none of this: cattrs reads a model
at once, and only if that fails is it read again, member by member.

No function here raises while a response's content could show up in the traceback. A problem comes
back as a `ContentProblem`, which names the place and the problem, and never the value.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

import attrs
from anyio.lowlevel import checkpoint
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from losant_tokens import _models as models
from losant_tokens import _payloads as payloads
from losant_tokens._json_parser import MAX_VALUES, ContentProblem, parse, parse_in_steps
from losant_tokens._secret import Secret

R = TypeVar("R")

_SNAKE_ON_THE_WIRE = (payloads.OauthRequest, models.OauthDetails)


_ITEMS = "items"
_STEP = 100  # items of a list that are read in one step, which takes about a millisecond
_META = frozenset({"extra", "is_stated", "unreadable", "unreadable_items"})  # no members of JSON


class Codec:
    """Converts request bodies to JSON, and JSON to models."""

    def __init__(self) -> None:
        self._converter = make_converter()

    @staticmethod
    def parse(content: bytes) -> object | ContentProblem:
        """Return the plain values of a small JSON document, or its problem."""
        return parse(content)

    def encode(self, body: payloads.Body) -> bytes:
        """Return a body as JSON, without the members that are `None`."""
        return json.dumps(self._converter.unstructure(body), separators=(",", ":")).encode()

    async def decode(
        self, content: bytes, kind: type[R], max_values: int = MAX_VALUES
    ) -> R | ContentProblem:
        """Return a response as a model, or its problem.

        A list is read in steps of about a millisecond, so that other tasks can run. Nothing else
        waits, so a frame that holds a secret is never cancelled here.

        Args:
            content: The body of the response.
            kind: The model.
            max_values: The number of JSON values above which the response is not read.
        """
        is_page = _is_page(cast("Any", kind))
        data = (
            await parse_in_steps(content, _ITEMS, max_values)
            if is_page
            else parse(content, max_values)
        )
        if isinstance(data, ContentProblem):
            return data
        try:
            if is_page and type(data) is dict:
                return cast("R", await self._read_page(data, kind))
            return self._converter.structure(data, kind)
        except _UnreadableError as error:
            return error.fault

    async def _read_page(self, data: dict[str, Any], kind: Any) -> Any:
        items = data.get(_ITEMS)
        if type(items) is not list:
            raise _UnreadableError(
                "is missing" if items is None else _wrong("a list", items), "items"
            )
        (item_kind, _) = get_args(attrs.fields_dict(kind)[_ITEMS].type)
        page = self._converter.structure({**data, _ITEMS: []}, kind)
        read_item = self._converter.get_structure_hook(item_kind)
        read: list[Any] = []
        unreadable: list[Any] = []
        items.reverse()  # to take them from its end: what was read is let go, before it grows old
        while items:
            step = items[: -_STEP - 1 : -1]
            del items[-_STEP:]
            try:
                tokens = [read_item(item, item_kind) for item in step]
            except _UnreadableError:
                tokens = []
            if tokens and all(token.id for token in tokens):
                read += tokens
            else:
                _read_one_by_one(step, item_kind, read_item, read, unreadable)
            if items:
                await checkpoint()
        return attrs.evolve(page, items=tuple(read), unreadable_items=tuple(unreadable))


@cache
def _is_page(kind: Any) -> bool:
    """Return whether a model is a page of a list."""
    return _ITEMS in attrs.fields_dict(kind)


def _read_one_by_one(
    step: list[Any],
    kind: Any,
    read_item: Callable[[Any, Any], Any],
    read: list[Any],
    unreadable: list[Any],
) -> None:
    for item in step:
        try:
            token = read_item(item, kind)
        except _UnreadableError:
            token = None
        if token is not None and token.id:
            read.append(token)
        else:
            unreadable.append(item)


@cache
def codec() -> Codec:
    """Return the codec. It is made at its first use, which takes some milliseconds."""
    return Codec()


def make_converter() -> Converter:
    """Return a cattrs converter for the models and bodies of Losant's API."""
    converter = Converter(detailed_validation=False, forbid_extra_keys=False)
    for kind, name in ((str, "a string"), (bool, "true or false")):
        converter.register_structure_hook(kind, _exactly(kind, name))
    converter.register_structure_hook(int, _read_integer)
    converter.register_structure_hook(datetime, _read_datetime)
    converter.register_structure_hook(Secret, _read_secret)
    converter.register_structure_hook_func(_is(Literal[True]), _read_true)
    converter.register_structure_hook_factory(_is_tuple, _tuple_reader)
    converter.register_structure_hook_factory(_may_be_none, _present_reader)
    converter.register_unstructure_hook(datetime, write_datetime)
    converter.register_unstructure_hook(Secret, Secret.reveal)
    converter.register_unstructure_hook(payloads.Never, _write_null)
    for answer in models.RESPONSE_MODELS:
        converter.register_structure_hook_factory(_is(answer), _answer_reader)
    for body in (*payloads.BODIES, models.OrgRole, models.ResourceRole):
        converter.register_unstructure_hook_factory(_is(body), _body_writer)
    return converter


def write_datetime(moment: datetime) -> str:
    """Return a datetime as the API writes it: `2016-06-13T04:00:00.000Z`.

    A datetime that is outside the years 1 to 9999 in UTC is written with its own offset.
    """
    try:
        utc = (moment - moment.utcoffset()).replace(tzinfo=None)  # type: ignore[operator]  # aware
    except OverflowError:
        return moment.isoformat(timespec="milliseconds")
    return f"{utc.isoformat(timespec='milliseconds')}Z"


class _UnreadableError(Exception):
    """A value is not what the model needs. It never holds the value.

    Attributes:
        fault: The problem. Its place is relative to the model.
    """

    def __init__(self, problem: str, name: str = "") -> None:
        super().__init__()
        self.fault = ContentProblem(problem, f"$.{name}" if name else "$")


def _wrong(wanted: str, value: object) -> str:
    return f"must be {wanted}, but it is {_JSON_NAMES.get(type(value), 'null')}"


_JSON_NAMES = {
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def _exactly(kind: type[R], name: str) -> Callable[[object, Any], R]:
    """Return a reader that converts nothing: cattrs would make the string `"1"` of the number 1."""

    def read(value: object, _: Any) -> R:
        if type(value) is not kind:
            raise _UnreadableError(_wrong(name, value))
        return value

    return read


_MAX_INTEGER = 2**63


def _read_integer(value: object, _: Any) -> int:
    """Return a number of items or pages; nothing can count beyond 64 bits."""
    if type(value) is not int:
        raise _UnreadableError(_wrong("an integer", value))
    if abs(value) > _MAX_INTEGER:
        raise _UnreadableError("must be an integer of 64 bits")
    return value


_DATE = "must be a date and time with its zone, such as 2016-06-13T04:00:00.000Z"


def _read_datetime(value: object, _: Any) -> datetime:
    if type(value) is str:
        try:
            found = datetime.fromisoformat(value)
            if found.tzinfo is UTC:
                return found
            if found.tzinfo is not None:
                found.astimezone(UTC)  # in UTC it must lie within the years 1 to 9999, too
                return found
        except (ValueError, OverflowError):
            pass
    raise _UnreadableError(_DATE)


def _read_secret(value: object, _: Any) -> Secret:
    if type(value) is not str:
        raise _UnreadableError(_wrong("a string", value))
    return Secret(value)


def _read_true(value: object, _: Any) -> Literal[True]:
    if value is not True:
        raise _UnreadableError("must be true, but it is not")
    return True


def _tuple_reader(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    item_kind, _ = get_args(kind)
    read_item = converter.get_structure_hook(item_kind)

    def read(value: object, _: Any) -> Any:
        if type(value) is not list:
            raise _UnreadableError(_wrong("a list", value))
        return tuple([read_item(item, item_kind) for item in value])

    return read


def _present_reader(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    """Return a reader of an optional member that is present: `null` is handled before."""
    (present,) = (option for option in get_args(kind) if option is not NoneType)
    return converter.get_structure_hook(present)


def _answer_reader(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    names = {name: wire for name, wire in _wire_names(kind) if name not in _META}
    overrides: dict[str, Any] = {name: override(rename=wire) for name, wire in names.items()}
    meta = _META & attrs.fields_dict(kind).keys()
    overrides |= {name: override(omit=True) for name in meta}
    read_at_once = make_dict_structure_fn(
        kind, converter, _cattrs_detailed_validation=False, **overrides
    )
    read_members = _member_reader(kind, converter, names)
    listed = frozenset(names.values())

    def read(value: object, kind: Any) -> Any:
        if type(value) is not dict:
            raise _UnreadableError(_wrong("an object", value))
        try:
            answer = read_at_once(value, kind)
        except (_UnreadableError, KeyError):
            return read_members(value)
        if not value.keys() <= listed:
            extra = {
                name: member
                for name, member in value.items()
                if name not in listed and member is not None
            }
            object.__setattr__(answer, "extra", extra)  # frozen for everybody else
        return answer

    return read


def _member_reader(
    kind: Any, converter: Converter, names: dict[str, str]
) -> Callable[[dict[str, Any]], Any]:
    """Return a reader that takes a model's members one by one, and sets unreadable ones aside."""
    fields = attrs.fields_dict(kind)
    is_lenient = "unreadable" in fields
    hooks = {name: converter.get_structure_hook(fields[name].type) for name in names}
    listed = frozenset(names.values())

    def read(value: dict[str, Any]) -> Any:
        found: dict[str, Any] = {}
        extra = {
            name: member
            for name, member in value.items()
            if name not in listed and member is not None
        }
        unreadable = set()
        # The secret of a new token cannot be read again, so it is returned even without an id.
        has_secret = kind is models.NewApiToken and type(value.get("token")) is str
        for name, wire in names.items():
            member = value.get(wire)
            is_required = fields[name].default is attrs.NOTHING
            if member is None and not is_required:
                continue
            try:
                if member is None:
                    raise _UnreadableError("is missing")  # noqa: TRY301 -- like one that is odd
                found[name] = hooks[name](member, fields[name].type)
            except _UnreadableError as error:
                if not is_lenient or (is_required and not has_secret):
                    raise _UnreadableError(error.fault.problem, wire) from None
                unreadable.add(name)
                if is_required:
                    found[name] = ""
                if member is not None:
                    extra[wire] = _kept(name, member)
        if unreadable:
            found["unreadable"] = frozenset(unreadable)
        return kind(**found, extra=extra)

    return read


def _kept(name: str, member: object) -> object:
    """Return the raw value of a member that cannot be read. A secret stays one in any form."""
    if name != "token":
        return member
    try:
        return Secret(json.dumps(member))
    except RecursionError:
        return Secret("(nested too deep)")


def _body_writer(kind: Any, converter: Converter) -> Callable[[Any], dict[str, Any]]:
    overrides: dict[str, Any] = {
        attribute.name: override(rename=wire, omit_if_default=attribute.default is None)
        for attribute, (_, wire) in zip(attrs.fields(kind), _wire_names(kind), strict=True)
    }
    if "extra" in overrides:
        overrides["extra"] = override(omit=True)
    return make_dict_unstructure_fn(kind, converter, **overrides)


def _write_null(_: payloads.Never) -> None:
    return None


def _wire_names(kind: Any) -> Iterator[tuple[str, str]]:
    """Yield the attributes of a model, each with its name on the wire."""
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
