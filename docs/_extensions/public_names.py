"""Document each object under the name that users import, and fail if a private name is rendered.

The public names are imported from private modules, and Python reports these as their home. So a
type in a signature is linked to the public name of the object.

Docstrings name things in backticks, without their module. Such a name links to the object that has
it, if there is one, and is plain code otherwise. Words such as `id` are not links, because they may
be values.
"""

import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Unpack, get_args, get_type_hints, is_typeddict

import attrs
from docutils import nodes
from field_docs import field_docs
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxRole
from sphinx.util.inspect import stringify_signature
from sphinx.util.nodes import make_refnode

import losant_tokens
from losant_tokens import AsyncClient, Listing, OwnerTokens, RawClient, RequestOptions, fleet

MODULES = (
    "losant_tokens",
    "losant_tokens.accounts",
    "losant_tokens.audit",
    "losant_tokens.errors",
    "losant_tokens.jobs",
    "losant_tokens.leaks",
    "losant_tokens.fleet",
    "losant_tokens.notices",
    "losant_tokens.policy",
    "losant_tokens.sinks",
    "losant_tokens.testing",
)
_LONG_DEFAULT = 200  # characters
PRIVATE_PATH = re.compile(r"^losant_tokens(\.\w+)*?\._[a-z]\w*(\.[a-z_]\w*)*\.(?=[A-Z])")
PRIVATE_TYPE = re.compile(r"losant_tokens(?:\.\w+)*\._[a-z]\w*(?:\.\w+)*\.(\w+)")
NAME = re.compile(r"(\w+\.)+\w+(\(\))?|[A-Z]\w+|\w+\(\)")
PRIVATE = re.compile(r"losant_tokens(\.\w+)*\._[a-z]\w*(\.\w+)*")

"""Classes whose instances come from the library. Their arguments concern nobody else."""
MADE_BY_THE_LIBRARY = frozenset(
    {
        "losant_tokens.ApiToken",
        "losant_tokens.ApiTokens",
        "losant_tokens.Application",
        "losant_tokens.Applications",
        "losant_tokens.AuditLog",
        "losant_tokens.AuditLogs",
        "losant_tokens.AuthenticatedUser",
        "losant_tokens.Instance",
        "losant_tokens.InstanceAuditLog",
        "losant_tokens.InstanceAuditLogs",
        "losant_tokens.Instances",
        "losant_tokens.Listing",
        "losant_tokens.NewApiToken",
        "losant_tokens.OauthDetails",
        "losant_tokens.Organization",
        "losant_tokens.Organizations",
        "losant_tokens.Owner",
        "losant_tokens.OwnerTokens",
        "losant_tokens.RawClient",
        "losant_tokens.RawResponse",
        "losant_tokens.Success",
        "losant_tokens.UserOauthToken",
        "losant_tokens.UserOauthTokens",
        "losant_tokens.accounts.Config",
        "losant_tokens.accounts.DiscoveredOwners",
        "losant_tokens.audit.Audit",
        "losant_tokens.audit.AuditDiff",
        "losant_tokens.audit.AuditProgress",
        "losant_tokens.audit.AuditRule",
        "losant_tokens.audit.AuditedAccount",
        "losant_tokens.audit.AuditedOwner",
        "losant_tokens.audit.AuditedToken",
        "losant_tokens.audit.Difference",
        "losant_tokens.audit.Finding",
        "losant_tokens.audit.Snapshot",
        "losant_tokens.audit.TokenFindings",
        "losant_tokens.fleet.Decision",
        "losant_tokens.fleet.Diagnosis",
        "losant_tokens.fleet.FleetClient",
        "losant_tokens.fleet.Heartbeat",
        "losant_tokens.fleet.PlanSummary",
        "losant_tokens.fleet.Problem",
        "losant_tokens.fleet.Run",
        "losant_tokens.fleet.RunReport",
        "losant_tokens.fleet.RunResult",
        "losant_tokens.fleet.Work",
        "losant_tokens.fleet.Worker",
        "losant_tokens.jobs.ChunkResult",
        "losant_tokens.jobs.Counts",
        "losant_tokens.jobs.Entry",
        "losant_tokens.jobs.Header",
        "losant_tokens.jobs.ListingResult",
        "losant_tokens.jobs.PaceSample",
        "losant_tokens.jobs.Plan",
        "losant_tokens.jobs.PlanChunk",
        "losant_tokens.jobs.PlanDocument",
        "losant_tokens.jobs.Progress",
        "losant_tokens.jobs.Quarantine",
        "losant_tokens.jobs.QuarantineReview",
        "losant_tokens.jobs.Report",
        "losant_tokens.jobs.Result",
        "losant_tokens.jobs.Rule",
        "losant_tokens.jobs.TokenOutcome",
        "losant_tokens.notices.Notification",
        "losant_tokens.testing.FakeAccount",
        "losant_tokens.testing.FakeOwner",
        "losant_tokens.testing.FakeToken",
        "losant_tokens.testing.FakeUser",
        "losant_tokens.testing.RecordedRequest",
        "losant_tokens.testing.SeedSummary",
        "losant_tokens.testing.Serving",
    }
)
"""Classes that users create, whose fields are arguments in the first place."""
WITH_ARGUMENTS = frozenset(
    {
        "losant_tokens.ApiTokenPatch",
        "losant_tokens.ApiTokenPost",
        "losant_tokens.AuditLogActor",
        "losant_tokens.AuditLogFilter",
        "losant_tokens.AuditLogRequest",
        "losant_tokens.AuditLogTarget",
        "losant_tokens.OauthRequest",
        "losant_tokens.OpenTelemetry",
        "losant_tokens.RetryPolicy",
        "losant_tokens.UserCredentials",
        "losant_tokens.UserOauthTokenPatch",
        "losant_tokens.UserOauthTokenPost",
        "losant_tokens.notices.NoticeLedger",
        "losant_tokens.policy.WarningLedger",
        "losant_tokens.sinks.CommandSink",
        "losant_tokens.sinks.FileSink",
        "losant_tokens.sinks.SlackSink",
        "losant_tokens.sinks.StdoutSink",
        "losant_tokens.sinks.WebhookSink",
    }
)
"""Public types to show in place of private ones."""
SHOWN_AS = {
    "HttpxPool": "~httpx.AsyncBaseTransport",
    "AiohttpPool": "~httpx.AsyncBaseTransport",
    "FakeTransport": "~httpx.AsyncBaseTransport",
}


class NameRole(SphinxRole):
    """The role of text in backticks: code, and a link if it names an object."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the nodes."""
        literal = nodes.literal(self.rawtext, self.text, classes=["xref", "py"])
        if not NAME.fullmatch(self.text):
            return [literal], []
        target = self.text.removesuffix("()")
        link = pending_xref(self.rawtext, literal, refdomain="py", reftype="obj", reftarget=target)
        link["refdoc"] = self.env.docname
        link["refwarn"] = False
        return [link], []


class Omitted:
    """The default of an option that may be left out."""

    def __repr__(self) -> str:
        return "..."


def public_signature(method: Callable[..., object]) -> inspect.Signature:
    """Return the signature of a method without `self`, and with its list options written out.

    A method of a list takes the options of the list and those of any request. The type of the first
    is private, so each of them becomes a parameter.
    """
    signature = inspect.signature(method)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name in {"self", "cls"}:
            continue
        options = get_args(parameter.annotation)
        if parameter.kind is parameter.VAR_KEYWORD and options != (RequestOptions,):
            public = {one: getattr(losant_tokens, one) for one in losant_tokens.__all__}
            hints = get_type_hints(options[0], localns=public)
            # The settings of a client are not options of a request, but share some names with them.
            is_request = hints.keys() >= RequestOptions.__annotations__.keys()
            common = RequestOptions.__annotations__ if is_request else {}
            parameters += [
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=Omitted(), annotation=hint
                )
                for name, hint in hints.items()
                if name not in common
            ]
            if is_request:
                parameters.append(parameter.replace(annotation=Unpack[RequestOptions]))
        else:
            parameters.append(parameter)
    return signature.replace(parameters=parameters)


def shown_signature(
    _app: Sphinx,
    what: str,
    name: str,
    obj: Any,
    _options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None] | None:
    """Return the signature to show: without private types, and none for what nobody creates."""
    if signature is not None and (name in MADE_BY_THE_LIBRARY or what == "exception"):
        return "", None
    if what == "class" and attrs.has(obj):
        # attrs names its defaults by expressions of its own; these are their values.
        signature = stringify_signature(
            readable(inspect.signature(obj)),
            show_return_annotation=False,
            unqualified_typehints=True,
        )
    if what == "method" and any(
        parameter.kind is parameter.VAR_KEYWORD
        for parameter in inspect.signature(obj).parameters.values()
    ):
        text = stringify_signature(public_signature(obj), unqualified_typehints=True)
        signature, _, returns = text.rpartition(" -> ")
    return without_private_types(signature), without_private_types(returns)


def readable(signature: inspect.Signature) -> inspect.Signature:
    """Return a signature without the defaults that are too long to read."""
    return signature.replace(
        parameters=[
            one.replace(default=Omitted()) if len(repr(one.default)) > _LONG_DEFAULT else one
            for one in signature.parameters.values()
        ]
    )


def without_private_types(text: str | None) -> str | None:
    """Return a signature that names public types only."""
    if text is None:
        return None
    for private, public in SHOWN_AS.items():
        text = re.sub(rf"~?(losant_tokens(\.\w+)*\.)?\b{private}\b", public, text)
    # NOTHING is attrs's word for a default that is computed. A function has no readable default,
    # and Sphinx cannot parse an empty read-only mapping.
    return re.sub(r"= (NOTHING|<function [^>]+>|mappingproxy\(\{\}\))", "= ...", text)


def homes() -> dict[str, str]:
    """Return the public module of each public name."""
    return {name: module for module in MODULES for name in importlib.import_module(module).__all__}


def link_to_public_names(_app: Sphinx, doctree: nodes.document) -> None:
    """Let every link to an object in a private module name the public module."""
    public = homes()
    for node in doctree.findall(pending_xref):
        target = str(node.get("reftarget"))
        name = PRIVATE_PATH.sub("", target)
        if name == "Never":
            name = "NEVER"  # its type has no public name
        if name != target and name in public:
            node["reftarget"] = f"{public[name]}.{name}"


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> nodes.Element | None:
    """Return a link for a name without its module; plain code for anything else."""
    if node.get("refdomain") != "py":
        return None
    objects = env.domains.python_domain.objects
    name = str(node["reftarget"]).removeprefix("errors.").removeprefix("jobs.")
    for module in MODULES:
        if entry := objects.get(f"{module}.{name}"):
            place = (node["refdoc"], entry.docname, entry.node_id)
            return make_refnode(app.builder, *place, contnode, f"{module}.{name}")
    return contnode if node["reftype"] == "obj" else None


def skip_fields(
    app: Sphinx, what: str, name: str, _obj: object, _skip: object, _options: object
) -> bool | None:
    """Leave out the fields of a class, which the documentation of the class lists."""
    if what not in {"class", "exception"}:
        return None
    documented = app.env.temp_data
    module = importlib.import_module(documented.get("autodoc:module") or "losant_tokens")
    kind = getattr(module, documented.get("autodoc:class") or "", None)
    return True if has_fields(kind) and name in field_docs(kind) else None


def has_fields(kind: object) -> bool:
    """Return whether the fields of a class are listed in its documentation.

    Those of a client have types without a public name.
    """
    return isinstance(kind, type) and (
        attrs.has(kind)
        or is_typeddict(kind)
        or issubclass(kind, Exception)
        or kind in {AsyncClient, Listing, OwnerTokens, RawClient, fleet.Fleet}
    )


def list_documented_fields(
    _app: Sphinx, what: str, name: str, obj: Any, _options: object, lines: list[str]
) -> None:
    """Add the fields of a class with their docstrings, as a section of its docstring."""
    if what not in {"class", "exception"} or not has_fields(obj):
        return
    documented = {
        field: text
        for field, text in field_docs(obj).items()
        # An error has the attributes of its base class, which describes them.
        if not field.startswith("_") and (what == "class" or field in inspect.get_annotations(obj))
    }
    if not documented:
        return
    heading = "Args:" if name in WITH_ARGUMENTS else "Attributes:"
    entries = [f"    {field}: {' '.join(text.split())}" for field, text in documented.items()]
    if heading in lines:
        place = lines.index(heading) + 1
        lines[place:place] = entries
        return
    # Before the errors and the example, which are at the end.
    ends = [lines.index(end) for end in ("Raises:", "Example:", "Example::") if end in lines]
    place = min(ends, default=len(lines))
    lines[place:place] = ["", heading, *entries, ""]


def list_all_attributes(
    _app: Sphinx, what: str, name: str, obj: object, _options: object, lines: list[str]
) -> None:
    """Add the attributes that a docstring does not describe, with their types."""
    if what != "class" or name not in MADE_BY_THE_LIBRARY or not attrs.has(obj):
        return
    text = "\n".join(lines)
    missing = [
        field.name
        for field in attrs.fields(obj)
        if not field.name.startswith("_") and f"    {field.name}:" not in text
    ]
    if missing and "Attributes:" not in lines:
        lines += ["", "Attributes:"]
    place = lines.index("Attributes:") + 1 if missing else 0
    lines[place:place] = [f"    {field}:" for field in missing]


def show_types_of_attributes(
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Put the type of an attribute beside its name, and remove types without a public name."""
    shown: list[str] = []
    place = 0
    for line in lines:
        if line.startswith("   :type: "):
            if set(PRIVATE_TYPE.findall(line)) <= homes().keys():
                shown.insert(place, line)
            continue
        shown.append(line)
        if line.startswith(".. attribute::"):
            place = len(shown)
    lines[:] = shown


def check_pages(app: Sphinx, exception: Exception | None) -> None:
    """Fail if a page shows the path of a private module.

    Raises:
        SphinxError: A page does. The message names the page and the path.
    """
    if exception is not None or app.builder.name != "html":
        return
    for page in sorted(Path(app.outdir).rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        if found := PRIVATE.search(text):
            raise SphinxError(f"{page.name} shows the private name {found.group()}")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_role("name", NameRole())
    app.connect("autodoc-process-signature", shown_signature)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("autodoc-process-docstring", list_documented_fields, priority=50)
    app.connect("autodoc-process-docstring", list_all_attributes, priority=100)
    app.connect("autodoc-process-docstring", show_types_of_attributes, priority=900)
    app.connect("doctree-read", link_to_public_names)
    app.connect("missing-reference", resolve, priority=900)  # after intersphinx
    app.connect("build-finished", check_pages)
    return {"parallel_read_safe": True}
