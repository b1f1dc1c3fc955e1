"""The scopes that Losant publishes: 22 groups, and 386 operations of 99 resources.

Source: the documentation of the official Python client, API version 1.31. Losant may add scopes at
any time, and the deprecated groups are not published. So a scope that is missing here may be valid.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from losant_tokens._api.scope_types import OauthScope, PublishedScope, Scope
else:
    # Only type checkers and editors need the literals, and importing them takes 1.5 ms.
    OauthScope = PublishedScope = Scope = str

__all__ = [
    "DEPRECATED_GROUPS",
    "GROUPS",
    "OAUTH_SCOPES",
    "RESOURCES",
    "OauthScope",
    "PublishedScope",
    "Scope",
    "published_scopes",
    "similar_scope",
]

GROUPS: Final = frozenset(
    {
        "all.Application",
        "all.Application.bounded",
        "all.Application.cli",
        "all.Application.read",
        "all.Device",
        "all.Device.read",
        "all.Instance",
        "all.Instance.bounded",
        "all.Instance.read",
        "all.Organization",
        "all.Organization.bounded",
        "all.Organization.read",
        "all.User",
        "all.User.bounded",
        "all.User.cli",
        "all.User.read",
        "only.Organization",
        "only.Organization.bounded",
        "only.Organization.read",
        "only.User",
        "only.User.bounded",
        "only.User.read",
    }
)
"""Groups of operations, such as `all.User.read`."""

OAUTH_SCOPES: Final = frozenset(
    {
        "all.Application.bounded",
        "all.Application.read",
        "all.Organization.bounded",
        "all.Organization.read",
        "only.Organization.bounded",
        "only.Organization.read",
        "only.User.read",
    }
)
"""The scopes that an OAuth token can have."""

DEPRECATED_GROUPS: Final = frozenset(
    {
        "applications",
        "dashboards",
        "dashboards.read",
        "devices",
        "devices.command",
        "devices.read",
        "devices.state",
        "events",
        "flows",
        "me",
        "orgs",
        "webhooks",
    }
)
"""Old groups that tokens may still have. The operations that they allow are not published."""

RESOURCES: Final[Mapping[str, str]] = {
    "application": (
        "applyTemplate archiveData backfillArchiveData clone debug delete deviceCounts export "
        "fullDataTablesArchive fullEventsArchive get import importLogs mqttPublishMessage "
        "mqttSubscriptionStream notebookMinuteCounts patch payloadCounts "
        "payloadCountsBreakdown search"
    ),
    "applicationApiToken": "delete get patch",
    "applicationApiTokens": "get post",
    "applicationCertificate": "delete get patch",
    "applicationCertificateAuthorities": "get post",
    "applicationCertificateAuthority": "delete get patch",
    "applicationCertificates": "get post",
    "applicationDashboard": "delete get patch sendReport",
    "applicationDashboards": "get post",
    "applicationJobLog": "get",
    "applicationJobLogs": "get",
    "applicationKey": "delete get patch",
    "applicationKeys": "get post",
    "applicationTemplate": "get",
    "applicationTemplates": "get getCategories getUniqueKeywords",
    "applications": "detailedSummary get import periodSummaries post",
    "auditLog": "get",
    "auditLogs": "get",
    "credential": "delete get linkedResources patch",
    "credentials": "get post",
    "dashboard": "delete patch sendReport suggestCode",
    "dashboards": "get post",
    "data": "export lastValueQuery timeSeriesQuery",
    "dataTable": "addColumn delete get patch removeColumn",
    "dataTableRow": "delete get patch",
    "dataTableRows": "delete export get post query truncate",
    "dataTables": "get post",
    "device": (
        "agentLogs commandStream debug delete export get getCommand getCompositeState "
        "getLogEntries getState patch payloadCounts payloadCountsBreakdown removeData "
        "sendCommand sendState setConnectionStatus stateStream"
    ),
    "deviceAttribute": "delete get patch",
    "deviceAttributes": "get post",
    "deviceRecipe": "bulkCreate delete get patch",
    "deviceRecipes": "get post",
    "devices": (
        "attributeNames delete deviceNames export get getCompositeState historicalImport "
        "patch payloadCounts post removeData restore sendCommand tagKeys tagValues"
    ),
    "edgeDeployment": "get",
    "edgeDeployments": "get release remove replace",
    "embeddedDeployment": "get",
    "embeddedDeployments": "export get release remove replace",
    "event": "delete get patch",
    "events": "delete detailedSummary export get mostRecentBySeverity patch post",
    "experience": "bootstrap delete",
    "experienceDomain": "delete get patch",
    "experienceDomains": "get post",
    "experienceEndpoint": "delete get linkedResources patch",
    "experienceEndpoints": "get post stats",
    "experienceGroup": "delete get patch",
    "experienceGroups": "detailedSummary get post",
    "experienceSlug": "delete get patch",
    "experienceSlugs": "get post",
    "experienceUser": "delete get patch",
    "experienceUsers": "detailedSummary get post",
    "experienceVersion": "delete get patch",
    "experienceVersions": "get post",
    "experienceView": "debug delete get linkedResources patch",
    "experienceViews": "debug detailedSummary get post",
    "file": "delete get move patch upload",
    "files": "get post",
    "flow": (
        "clearStorageEntries debug delete errors get getStorageEntries "
        "getStorageEntriesMetadata log patch pressVirtualButton setStorageEntry stats "
        "suggestFunction"
    ),
    "flowVersion": "debug delete errors get log patch stats",
    "flowVersions": "delete get post",
    "flows": "get getByVersion import palette post",
    "instance": (
        "deviceCounts generateReport get historicalSummaries notebookMinuteCounts patch "
        "payloadCounts payloadCountsBreakdown"
    ),
    "instanceApiToken": "delete get patch",
    "instanceApiTokens": "get post",
    "instanceAuditLog": "get",
    "instanceAuditLogs": "get",
    "instanceCustomNode": "delete errors get patch stats",
    "instanceCustomNodes": "get post",
    "instanceMember": "delete get patch",
    "instanceMembers": "get post",
    "instanceNotificationRule": "delete evaluate get logs patch",
    "instanceNotificationRules": "get post",
    "instanceOrg": (
        "convertToEnterprise delete deviceCounts get notebookMinuteCounts patch payloadCounts "
        "payloadCountsBreakdown"
    ),
    "instanceOrgInvite": "delete get resendInvite",
    "instanceOrgInvites": "get post",
    "instanceOrgMember": "delete get patch",
    "instanceOrgMembers": "get post",
    "instanceOrgs": "get post",
    "instanceSandbox": (
        "delete deviceCounts get notebookMinuteCounts payloadCounts payloadCountsBreakdown undelete"
    ),
    "instanceSandboxes": "get",
    "instances": "get",
    "integration": "delete get patch",
    "integrations": "get post",
    "me": (
        "addRecentItem changePassword connectGithub delete deviceCounts disableTwoFactorAuth "
        "disconnectGithub enableTwoFactorAuth fetchRecentItems generateTwoFactorAuth get "
        "invite invites notebookMinuteCounts patch payloadCounts payloadCountsBreakdown "
        "refreshToken respondToInvite transferResources verifyEmail"
    ),
    "notebook": "delete execute get logs notebookMinuteCounts patch requestInputDataExport upload",
    "notebooks": "get post",
    "org": (
        "currentCard delete deviceCounts get inviteMember invoices modifyMember "
        "notebookMinuteCounts patch payloadCounts payloadCountsBreakdown pendingInvites "
        "removeMember revokeInvite transferResources"
    ),
    "orgs": "get post",
    "privateFile": "delete get move patch upload",
    "privateFiles": "get post",
    "resourceJob": "cancelExecution delete execute get logs patch",
    "resourceJobs": "get post",
    "userApiToken": "delete get patch",
    "userApiTokens": "get post",
    "userOauthClient": "delete get patch",
    "userOauthClients": "get post",
    "userOauthToken": "delete get patch",
    "userOauthTokens": "get post",
    "webhook": "delete get patch",
    "webhooks": "get post",
}
"""The operations of each resource, separated by spaces."""


@cache
def published_scopes() -> frozenset[str]:
    """Return every published scope: the groups, `<resource>.<operation>` and `<resource>.*`."""
    operations = (
        f"{resource}.{operation}"
        for resource, names in RESOURCES.items()
        for operation in (*names.split(), "*")
    )
    return GROUPS.union(operations)


_VERBS: Final[Mapping[str, str]] = {
    "add": "post",
    "change": "patch",
    "create": "post",
    "edit": "patch",
    "list": "get",
    "new": "post",
    "read": "get",
    "remove": "delete",
    "show": "get",
    "update": "patch",
    "view": "get",
    "write": "patch",
}
"""The operations that people write, and how the API calls them."""

_LONG_WORD = 64  # characters; published scopes are shorter, and a comparison takes time


def similar_scope(word: str, words: Collection[str]) -> str | None:
    """Return the scope that somebody probably meant, or `None`.

    Args:
        word: What they wrote.
        words: The scopes that are possible.
    """
    if len(word) > _LONG_WORD:
        return None
    by_lower_case = {scope.lower(): scope for scope in words}
    for guess in _guesses(word.strip().lower()):
        if guess in by_lower_case:
            return by_lower_case[guess]
    import difflib  # noqa: PLC0415 -- it is only needed for a mistake

    close = difflib.get_close_matches(word, sorted(words), n=1)
    return close[0] if close else None


def _guesses(word: str) -> Iterator[str]:
    """Yield a word in lower case, then with the API's verb, singular and plural."""
    yield word
    resource, _, operation = word.rpartition(".")
    verb = _VERBS.get(operation, operation)
    single = resource.removesuffix("s")
    # A list belongs to the plural, such as `devices.get`.
    names = (f"{single}s", resource) if operation == "list" else (resource, single, f"{single}s")
    yield from (f"{name}.{verb}" for name in names)
