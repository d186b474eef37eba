"""What the API answers with. Ids are UUIDs, times are in UTC; fields that this version does not know are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Optional
from uuid import UUID

from ._compat import Model

__all__ = [
    "Agent",
    "AgentLink",
    "BatchResult",
    "CleanupResult",
    "Event",
    "Feedback",
    "FeedbackSummary",
    "Finding",
    "Health",
    "IngestResult",
    "IngestedSkill",
    "Message",
    "Scan",
    "Skill",
    "Usage",
    "UsageGroup",
    "UsageSummary",
    "UsageTotals",
]


class Agent(Model):
    """A registered agent. status is a label of the client's, or frozen or archived while the agent is."""

    id: UUID
    name: str
    type: str
    icon: Optional[str] = None
    platform: Optional[str] = None
    description: Optional[str] = None
    status: str = "active"
    metadata: Optional[dict[str, Any]] = None
    created_at: datetime
    updated_at: Optional[datetime] = None


class Event(Model):
    """Something that an agent did. level is info, warning, error or critical."""

    id: UUID
    agent_id: UUID
    event_type: str
    source: Optional[str] = None
    level: str = "info"
    trace_id: Optional[str] = None
    parent_event_id: Optional[UUID] = None
    payload: Optional[dict[str, Any]] = None
    created_at: datetime


class BatchResult(Model):
    """What log_events_batch stored, in the order in which it was sent."""

    created: int
    events: list[Event] = []


class CleanupResult(Model):
    """How many events cleanup_events deleted."""

    deleted: int


class Message(Model):
    """What one agent said to another."""

    id: UUID
    sender_id: UUID
    receiver_id: UUID
    message_type: str
    payload: Optional[dict[str, Any]] = None
    trace_id: Optional[str] = None
    created_at: datetime


class Feedback(Model):
    """What somebody thinks of an agent, an event or a message. rating is 1 to 5."""

    id: UUID
    target_type: str
    target_id: UUID
    feedback_type: str
    rating: Optional[int] = None
    comment: Optional[str] = None
    user: Optional[str] = None
    created_at: datetime


class FeedbackSummary(Model):
    """Feedback added up. satisfaction is the share of thumbs up, 0 to 1; it and average_rating are None without data."""

    count: int
    average_rating: Optional[float] = None
    thumbs_up: int = 0
    thumbs_down: int = 0
    satisfaction: Optional[float] = None


class Usage(Model):
    """One report of usage. cost is what the client said, computed_cost what the server made of the tokens, in dollars; None is unknown.

    agent_id is None for what the server itself used on nobody's behalf.
    """

    id: UUID
    agent_id: Optional[UUID] = None
    model: str
    provider: Optional[str] = None
    tokens_input: int = 0
    tokens_output: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    api_calls: int = 0
    avg_latency_ms: Optional[float] = None
    cost: Optional[float] = None
    computed_cost: Optional[float] = None
    created_at: datetime


class UsageTotals(Model):
    """Usage added up. unpriced counts the reports whose model has no known price; computed_cost is without them."""

    tokens_input: int = 0
    tokens_output: int = 0
    cached_tokens: int = 0
    api_calls: int = 0
    cost: float = 0.0
    computed_cost: float = 0.0
    unpriced: int = 0


class UsageGroup(UsageTotals):
    """The usage of one agent, model, provider or day, which key names."""

    key: str


class UsageSummary(Model):
    """Usage in groups, and all of it."""

    groups: list[UsageGroup] = []
    total: UsageTotals


class IngestedSkill(Model):
    """A skill as ingest_skills left it; status is pending until somebody reviewed it."""

    id: UUID
    key: str
    version: Optional[str] = None
    status: str


class IngestResult(Model):
    """What ingest_skills stored."""

    ingested: int
    skills: list[IngestedSkill] = []


class Finding(Model):
    """Something that the security scan of a skill found, and where. severity is info, low, medium, high or critical."""

    code: str
    severity: str
    path: Optional[str] = None
    line: Optional[int] = None
    excerpt: Optional[str] = None
    message: Optional[str] = None


class Scan(Model):
    """What the security scan says of a skill. score is 0 to 100, the higher the better; verdict pass, review, warn or malicious."""

    score: int
    verdict: str
    findings: list[Finding] = []


class Skill(Model):
    """A skill. status is pending, approved or denied, reason the reviewer's; the list of the marketplace is without the content.

    agent_id is None for skills that no agent handed in. sha256 is of the content: what a reviewer has seen.
    """

    id: UUID
    agent_id: Optional[UUID] = None
    key: str
    name: str
    category: str
    version: Optional[str] = None
    status: str
    summary: Optional[str] = None
    description_md: Optional[str] = None
    tags: list[str] = []
    requirements: Optional[list[Any]] = None
    prompt_template: Optional[str] = None
    code_snippet: Optional[str] = None
    config_schema: Optional[dict[str, Any]] = None
    kind: Optional[str] = None
    sha256: Optional[str] = None
    installs: Optional[int] = None
    reason: Optional[str] = None
    scan: Optional[Scan] = None
    created_at: Optional[datetime] = None


class AgentLink(Model):
    """Says that a user reviews the skills of an agent. user is a key's id or name, or an e-mail address."""

    id: UUID
    agent_id: UUID
    user: str
    created_at: Optional[datetime] = None


class Health(Model):
    """Whether the server is well: status is ok."""

    status: str
