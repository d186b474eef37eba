"""Async client for the Valar-compatible API of Bureau.

async with AgentManagementClient("http://127.0.0.1:8080/compat/valar", "bur_...") as client:
    agent = await client.register_agent("my-bot")
    await client.log_event(agent.id, "task_started", source="scheduler")
"""

from .client import AgentManagementClient
from .exceptions import (
    AgentManagementError,
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RateLimitError,
    ServerError,
    UnexpectedResponseError,
    ValidationError,
)
from .models import (
    Agent,
    AgentLink,
    BatchResult,
    CleanupResult,
    Event,
    Feedback,
    FeedbackSummary,
    Finding,
    Health,
    IngestedSkill,
    IngestResult,
    Message,
    Scan,
    Skill,
    Usage,
    UsageGroup,
    UsageSummary,
    UsageTotals,
)
from .pages import Page

__version__ = "1.0.0"

__all__ = [
    "APIConnectionError",
    "APITimeoutError",
    "Agent",
    "AgentLink",
    "AgentManagementClient",
    "AgentManagementError",
    "AuthenticationError",
    "BatchResult",
    "CleanupResult",
    "ConflictError",
    "Event",
    "Feedback",
    "FeedbackSummary",
    "Finding",
    "ForbiddenError",
    "Health",
    "IngestResult",
    "IngestedSkill",
    "Message",
    "NotFoundError",
    "Page",
    "RateLimitError",
    "Scan",
    "ServerError",
    "Skill",
    "UnexpectedResponseError",
    "Usage",
    "UsageGroup",
    "UsageSummary",
    "UsageTotals",
    "ValidationError",
]
