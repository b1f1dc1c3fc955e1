"""Convert JSON to models, and request bodies to JSON, with one cattrs converter for this API.

Types are strict: a number is not a string, and a string is not a list. Everything else is lenient:
members without an attribute go to `extra`, `null` means absent, and enumerations are open.

The entries of audit logs are the exception: no raw value is kept, because it may be a secret.

A member of the wrong type does not affect the other members. Its attribute keeps the default value,
`unreadable` names the attribute, and `extra` keeps the raw value. A model without a required
member, such as a token without an id, cannot be read. In a list, its raw value goes to
`unreadable_items`, and the other items are read. Roles are read as a whole or not at all, because a
role that was read in part would be written back in part.

cattrs reads a model in one step. If that fails, the model is read again, member by member.

`Codec.decode` returns a problem instead of raising it, because a traceback would show the content
of the response. A `ContentProblem` names the place and the problem, but never the value.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args, get_origin

import attrs
from anyio.lowlevel import checkpoint

from losant_tokens._api import models, payloads
from losant_tokens._api.json_parser import MAX_VALUES, ContentProblem, parse, parse_in_steps
from losant_tokens._api.wire_format import META, WireModel, wire_names, write_datetime
from losant_tokens._utils.secret import Secret

if TYPE_CHECKING:
    from cattrs import Converter

R = TypeVar("R")

_ITEMS = "items"
_STEP = 100  # items of a list that are read between two checkpoints, in about a millisecond


class Codec:
    """Converts JSON to models, and request bodies to JSON."""

    def __init__(self) -> None:
        self._converter = make_converter()

    @staticmethod
    def parse(content: bytes) -> object | ContentProblem:
        """Return the values of a small JSON document, or its problem."""
        return parse(content)

    @staticmethod
    async def parse_long(content: bytes, max_values: int = MAX_VALUES) -> object | ContentProblem:
        """Return the values of a JSON document, with checkpoints if it is long, or its problem."""
        return await parse_in_steps(content, _ITEMS, max_values)

    def encode(self, body: payloads.Body) -> bytes:
        """Return a body as JSON, without the members that are `None`."""
        return json.dumps(self._converter.unstructure(body), separators=(",", ":")).encode()

    async def decode(
        self, content: bytes, kind: type[R], max_values: int = MAX_VALUES
    ) -> R | ContentProblem:
        """Return the body of a response as a model, or its problem.

        A page of a list is read with a checkpoint about every millisecond, so that other tasks can
        run. Other models have no checkpoint. So a cancellation never shows a frame that holds the
        secret of a new token.

        Args:
            content: The body of the response.
            kind: The class of the model.
            max_values: The maximum number of JSON values in the body.
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
        except UnreadableError as error:
            return error.problem

    async def _read_page(self, data: dict[str, Any], kind: Any) -> Any:
        """Return a page of a list, and set the items aside that are not tokens.

        Raises:
            UnreadableError: There is no list of items.
        """
        items = data.get(_ITEMS)
        if type(items) is not list:
            raise UnreadableError(
                "is missing" if items is None else _wrong("a list", items), "items"
            )
        (item_kind, _) = get_args(attrs.fields_dict(kind)[_ITEMS].type)
        page = self._converter.structure({**data, _ITEMS: []}, kind)
        read_item = self._converter.get_structure_hook(item_kind)
        tokens: list[Any] = []
        unreadable: list[Any] = []
        keeps_raw = _keeps_raw_values(item_kind)
        # Items are removed from the list as they are read, so that the garbage collector does not
        # move them to an older generation. That shortens the longest hold of the event loop from
        # 19 to 17 milliseconds (benchmark row "longest block of the event loop").
        items.reverse()
        while items:
            for _ in range(min(_STEP, len(items))):
                item = items.pop()
                try:
                    token = read_item(item, item_kind)
                except UnreadableError:
                    unreadable.append(item if keeps_raw else None)
                    continue
                if token.id:
                    tokens.append(token)
                else:
                    unreadable.append(item if keeps_raw else None)
            if items:
                await checkpoint()
        return attrs.evolve(page, items=tuple(tokens), unreadable_items=tuple(unreadable))


@cache
def _is_page(kind: Any) -> bool:
    """Return whether a model is a page of a list."""
    return _ITEMS in attrs.fields_dict(kind)


@cache
def _keeps_raw_values(kind: Any) -> bool:
    """Return whether a model keeps the raw values of members that it does not read."""
    return "extra" in attrs.fields_dict(kind)


@cache
def codec() -> Codec:
    """Return the codec of this process. The first call makes it, in some milliseconds."""
    return Codec()


def make_converter() -> "Converter":
    """Return a new cattrs converter for the models and request bodies of the API."""
    # cattrs is imported here, because a program that only reads plans or journals makes no codec.
    from cattrs import Converter  # noqa: PLC0415

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
    converter.register_structure_hook_factory(_is_model, _model_reader)
    converter.register_unstructure_hook_factory(attrs.has, _body_writer)
    return converter


class UnreadableError(Exception):
    """A value does not fit the model. The error never holds the value.

    Attributes:
        problem: The problem. Its path is relative to the model.
    """

    def __init__(self, text: str, name: str = "") -> None:
        super().__init__()
        self.problem = ContentProblem(text, f"$.{name}" if name else "$")


def _wrong(wanted: str, value: object) -> str:
    """Return the problem of a value of the wrong type."""
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
    """Return a reader that accepts only one type. cattrs would convert the number 1 to `"1"`."""

    def read(value: object, _: Any) -> R:
        if type(value) is not kind:
            raise UnreadableError(_wrong(name, value))
        return value

    return read


_MAX_INTEGER = 2**63


def _read_integer(value: object, _: Any) -> int:
    """Return an integer of at most 64 bits, such as a number of items or pages."""
    if type(value) is not int:
        raise UnreadableError(_wrong("an integer", value))
    if abs(value) > _MAX_INTEGER:
        raise UnreadableError("must be an integer of 64 bits")
    return value


_NO_DATETIME = "must be a date and time with a time zone, such as 2016-06-13T04:00:00.000Z"


def _read_datetime(value: object, _: Any) -> datetime:
    if type(value) is str:
        try:
            found = datetime.fromisoformat(value)
            if found.tzinfo is UTC:
                return found
            if found.tzinfo is not None:
                # This raises if the time is outside the years 1 to 9999 in UTC.
                found.astimezone(UTC)
                return found
        except (ValueError, OverflowError):
            pass
    raise UnreadableError(_NO_DATETIME)


def _read_secret(value: object, _: Any) -> Secret:
    if type(value) is not str:
        raise UnreadableError(_wrong("a string", value))
    return Secret(value)


def _read_true(value: object, _: Any) -> Literal[True]:
    if value is not True:
        raise UnreadableError("must be true, but it is not")
    return True


def _tuple_reader(kind: Any, converter: "Converter") -> Callable[[Any, Any], Any]:
    item_kind, _ = get_args(kind)
    read_item = converter.get_structure_hook(item_kind)

    def read(value: object, _: Any) -> Any:
        if type(value) is not list:
            raise UnreadableError(_wrong("a list", value))
        return tuple([read_item(item, item_kind) for item in value])

    return read


def _present_reader(kind: Any, converter: "Converter") -> Callable[[Any, Any], Any]:
    """Return the reader of an optional member that is present; `null` is handled elsewhere."""
    (present,) = (option for option in get_args(kind) if option is not NoneType)
    return converter.get_structure_hook(present)


def _model_reader(kind: Any, converter: "Converter") -> Callable[[Any, Any], Any]:
    """Return a reader of a model, in one step or, if that fails, member by member."""
    from cattrs.gen import make_dict_structure_fn, override  # noqa: PLC0415 -- see make_converter

    names = {name: wire for name, wire in wire_names(kind) if name not in META}
    overrides: dict[str, Any] = {name: override(rename=wire) for name, wire in names.items()}
    meta = META & attrs.fields_dict(kind).keys()
    overrides |= {name: override(omit=True) for name in meta}
    read_at_once = make_dict_structure_fn(
        kind, converter, _cattrs_detailed_validation=False, **overrides
    )
    read_members = _member_reader(kind, converter, names)
    listed = frozenset(names.values())
    keeps_raw = _keeps_raw_values(kind)

    def read(value: object, kind: Any) -> Any:
        if type(value) is not dict:
            raise UnreadableError(_wrong("an object", value))
        try:
            model = read_at_once(value, kind)
        except (UnreadableError, KeyError):
            return read_members(value)
        if keeps_raw and not value.keys() <= listed:
            extra = {
                name: member
                for name, member in value.items()
                if name not in listed and member is not None
            }
            # The model is frozen only for its users. A copy by `attrs.evolve` takes 4 microseconds,
            # which is half of the time to read a token.
            object.__setattr__(model, "extra", extra)
        return model

    return read


def _member_reader(
    kind: Any, converter: "Converter", names: dict[str, str]
) -> Callable[[dict[str, Any]], Any]:
    """Return a reader of a model that reads the members one by one and skips unreadable ones."""
    fields = attrs.fields_dict(kind)
    is_lenient = "unreadable" in fields
    keeps_raw = _keeps_raw_values(kind)
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
                    raise UnreadableError("is missing")  # noqa: TRY301 -- handled like a wrong type
                found[name] = hooks[name](member, fields[name].type)
            except UnreadableError as error:
                if not is_lenient or (is_required and not has_secret):
                    raise UnreadableError(error.problem.text, wire) from None
                unreadable.add(name)
                if is_required:
                    found[name] = ""
                if member is not None:
                    extra[wire] = _raw_value(name, member)
        if unreadable:
            found["unreadable"] = frozenset(unreadable)
        return kind(**found, **({"extra": extra} if keeps_raw else {}))

    return read


def _raw_value(name: str, member: object) -> object:
    """Return the raw value of a member that cannot be read; that of `token` is a `Secret`."""
    if name != "token":
        return member
    try:
        return Secret(json.dumps(member))
    except RecursionError:
        return Secret("(nested too deep)")


def _body_writer(kind: Any, converter: "Converter") -> Callable[[Any], dict[str, Any]]:
    """Return a writer of a request body, which leaves out members that are `None`."""
    from cattrs.gen import make_dict_unstructure_fn, override  # noqa: PLC0415 -- see make_converter

    overrides: dict[str, Any] = {
        attribute.name: override(rename=wire, omit_if_default=attribute.default is None)
        for attribute, (_, wire) in zip(attrs.fields(kind), wire_names(kind), strict=True)
    }
    if "extra" in overrides:
        overrides["extra"] = override(omit=True)
    return make_dict_unstructure_fn(kind, converter, **overrides)


def _write_null(_: payloads.Never) -> None:
    return None


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _may_be_none(kind: Any) -> bool:
    return isinstance(kind, UnionType) and NoneType in get_args(kind)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, WireModel)


def _is(kind: object) -> Callable[[Any], bool]:
    return lambda other: other == kind
