"""conf/focus.yaml: facts that the FOCUS export needs and the data do not contain."""

from __future__ import annotations

from pydantic import Field, model_validator

from cloud_analytics.config.section import Section
from cloud_analytics.config.taxonomy import Taxonomy

# Service category of FOCUS 1.2 → its subcategories; every category also has `Other (<category>)`.
SUBCATEGORIES: dict[str, list[str]] = {
    category: names.split(", ") if names else []
    for category, names in {
        "AI and Machine Learning": "AI Platforms, Bots, Generative AI, Machine Learning, Natural Language Processing",
        "Analytics": "Analytics Platforms, Business Intelligence, Data Processing, Search, Streaming Analytics",
        "Business Applications": "Productivity and Collaboration",
        "Compute": "Containers, End User Computing, Quantum Compute, Serverless Compute, Virtual Machines",
        "Databases": "Caching, Data Warehouses, Ledger Databases, NoSQL Databases, Relational Databases,"
        " Time Series Databases",
        "Developer Tools": "Developer Platforms, Continuous Integration and Deployment, Development Environments,"
        " Source Code Management, Quality Assurance",
        "Identity": "Identity and Access Management",
        "Integration": "API Management, Messaging, Workflow Orchestration",
        "Internet of Things": "IoT Analytics, IoT Platforms",
        "Management and Governance": "Architecture, Compliance, Cost Management, Data Governance, Disaster Recovery,"
        " Endpoint Management, Observability, Support",
        "Media": "Content Creation, Gaming, Media Streaming, Mixed Reality",
        "Migration": "Data Migration, Resource Migration",
        "Mobile": "",
        "Multicloud": "Multicloud Integration",
        "Networking": "Application Networking, Content Delivery, Network Connectivity, Network Infrastructure,"
        " Network Routing, Network Security",
        "Security": "Secret Management, Security Posture Management, Threat Detection and Response",
        "Storage": "Backup Storage, Block Storage, File Storage, Object Storage, Storage Platforms",
        "Web": "Application Platforms",
        "Other": "",
    }.items()
}


class FocusService(Section):
    """The FOCUS category and subcategory of a service."""

    category: str = "Other"
    subcategory: str = "Other (Other)"

    @model_validator(mode="after")
    def _known(self) -> FocusService:
        if self.category not in SUBCATEGORIES:
            raise ValueError(f"category: '{self.category}' is not one of {', '.join(SUBCATEGORIES)}")
        allowed = [*SUBCATEGORIES[self.category], f"Other ({self.category})"]
        if self.subcategory not in allowed:
            raise ValueError(f"subcategory: '{self.subcategory}' is not one of {', '.join(allowed)}")
        return self


class FocusSettings(Section):
    """conf/focus.yaml: the provider's name, the category of each service, and the unit of each metric."""

    provider: str = Field(min_length=1)
    services: dict[str, FocusService] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)

    def unknown_words(self, taxonomy: Taxonomy) -> list[str]:
        """One problem for each name of a service or metric that is not in the taxonomy."""
        metrics = taxonomy.metric_units()
        return [
            f"{section}.{name}: is not one of {', '.join(known)}"
            for section, names, known in (
                ("services", self.services, taxonomy.services),
                ("units", self.units, metrics),
            )
            for name in names
            if name not in known
        ]
