"""All models of responses."""

from typing import Final

from losant_tokens._api.audit_log_models import (
    AuditLog,
    AuditLogs,
    InstanceAuditLog,
    InstanceAuditLogs,
)
from losant_tokens._api.models import (
    ApiToken,
    ApiTokens,
    AuthenticatedUser,
    NewApiToken,
    OauthDetails,
    OrgRole,
    ResourceRole,
    Success,
    UserOauthToken,
    UserOauthTokens,
)
from losant_tokens._api.owner_models import (
    Application,
    Applications,
    Instance,
    Instances,
    Organization,
    Organizations,
)

RESPONSE_MODELS: Final = (
    ApiToken,
    NewApiToken,
    ApiTokens,
    UserOauthToken,
    UserOauthTokens,
    OauthDetails,
    OrgRole,
    ResourceRole,
    AuthenticatedUser,
    Success,
    AuditLog,
    AuditLogs,
    InstanceAuditLog,
    InstanceAuditLogs,
    Application,
    Applications,
    Instance,
    Instances,
    Organization,
    Organizations,
)
