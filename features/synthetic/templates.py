"""The change models (templates) of the organisation, and how risky each really is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from features.synthetic.estate import CLASSES


class Template(NamedTuple):
    """A kind of change.

    Parameters
    ----------
    ci_class : str
        The class of items it is done to; ``*`` for any.
    standard : bool
        Pre-approved.
    riskiness : float
        Hidden; added to the log-odds of causing an incident.
    weight : float
        How often it is done, relative to the others of its class.
    hours : float
        Typical planned duration.
    title : str
        Short description with ``{ci}``, ``{service}`` and version numbers ``{a}`` and ``{b}``.
    """

    ci_class: str
    category: str
    name: str
    standard: bool
    riskiness: float
    weight: float
    hours: float
    title: str


# fmt: off
TEMPLATES: tuple[Template, ...] = (
    Template("application", "Application", "Restart application", True, -1.0, 5, 0.5,
             "Restart {ci}"),
    Template("application", "Application", "Minor release", True, -0.4, 9, 1.0,
             "Deploy {service} release {a}.{b} to {ci}"),
    Template("application", "Application", "Feature switch", True, -0.8, 5, 0.25,
             "Switch feature {a} on {ci}"),
    Template("application", "Certificate", "Application certificate", True, -0.2, 3, 0.5,
             "Renew certificate of {ci}"),
    Template("application", "Application", "Major release", False, 0.9, 5, 3.0,
             "Deploy {service} {a}.0 to {ci}"),
    Template("application", "Security", "Application security patch", False, 0.1, 4, 1.5,
             "Apply security patch {a}.{b} to {ci}"),
    Template("application", "Configuration", "Application configuration", False, 0.2, 5, 1.0,
             "Change configuration of {ci}"),
    Template("application", "Migration", "Runtime migration", False, 1.3, 2, 5.0,
             "Migrate {ci} to runtime {a}"),
    Template("application", "Configuration", "Batch schedule", False, -0.1, 3, 0.5,
             "Change batch schedule of {ci}"),
    Template("database", "Database", "Extend tablespace", True, -1.0, 4, 0.5,
             "Extend tablespace on {ci}"),
    Template("database", "Database", "Add index", False, 0.2, 3, 1.0,
             "Add index to order table on {ci}"),
    Template("database", "Database", "Database upgrade", False, 1.1, 2, 4.0,
             "Upgrade database {a}.{b} on {ci}"),
    Template("database", "Security", "Database patch", False, 0.4, 4, 2.0,
             "Apply database patch {a} on {ci}"),
    Template("database", "Database", "Schema change", False, 0.8, 4, 1.5,
             "Change schema version {a} on {ci}"),
    Template("database", "Access", "Database access", True, -1.2, 4, 0.25,
             "Grant read access on {ci}"),
    Template("database", "Database", "Rebuild replica", False, 0.3, 1.5, 4.0,
             "Rebuild replica of {ci}"),
    Template("server", "Security", "Operating system patch", True, -0.3, 9, 2.0,
             "Monthly patches on {ci}"),
    Template("server", "Server", "Operating system upgrade", False, 0.7, 2, 5.0,
             "Upgrade operating system of {ci} to {a}"),
    Template("server", "Server", "Add disk", True, -0.9, 4, 0.5,
             "Add disk to {ci}"),
    Template("server", "Hardware", "Replace hardware", False, 0.4, 2, 3.0,
             "Replace power supply of {ci}"),
    Template("server", "Monitoring", "Monitoring agent", True, -0.8, 5, 0.5,
             "Update monitoring agent on {ci}"),
    Template("server", "Configuration", "Kernel parameters", False, 0.6, 1.5, 1.0,
             "Change kernel parameters of {ci}"),
    Template("server", "Hardware", "Server firmware", False, 0.6, 2, 2.0,
             "Update firmware of {ci} to {a}.{b}"),
    Template("server", "Server", "Decommission server", False, 0.0, 1.5, 2.0,
             "Decommission partition {a} of {ci}"),
    Template("network", "Network", "Firewall change", False, 0.4, 5, 1.0,
             "Change firewall rule {a} on {ci}"),
    Template("network", "Network", "Add firewall rule", True, -0.6, 7, 0.5,
             "Add firewall rule for {service} on {ci}"),
    Template("network", "Network", "Network firmware", False, 1.2, 2, 3.0,
             "Upgrade firmware of {ci} to {a}.{b}"),
    Template("network", "Network", "Routing change", False, 1.1, 2, 1.5,
             "Change route {a} on {ci}"),
    Template("network", "Network", "DNS record", True, -0.4, 5, 0.25,
             "Change DNS record on {ci}"),
    Template("network", "Hardware", "Replace network module", False, 0.5, 1.5, 3.0,
             "Replace module {a} in {ci}"),
    Template("load_balancer", "Network", "Add pool member", True, -0.7, 5, 0.5,
             "Add pool member on {ci}"),
    Template("load_balancer", "Certificate", "Load balancer certificate", True, 0.0, 3, 0.5,
             "Renew certificate on {ci}"),
    Template("load_balancer", "Network", "Balancing rule", False, 0.7, 3, 1.0,
             "Change balancing rule {a} on {ci}"),
    Template("load_balancer", "Network", "Load balancer upgrade", False, 1.1, 1.5, 3.0,
             "Upgrade {ci} to {a}.{b}"),
    Template("storage", "Storage", "Extend volume", True, -1.0, 6, 0.5,
             "Extend volume {a} on {ci}"),
    Template("storage", "Migration", "Migrate volume", False, 0.8, 3, 6.0,
             "Migrate volume {a} from {ci}"),
    Template("storage", "Storage", "Storage firmware", False, 1.1, 1.5, 4.0,
             "Upgrade firmware of {ci} to {a}.{b}"),
    Template("storage", "Storage", "Replication change", False, 0.5, 2, 2.0,
             "Change replication of {ci}"),
    Template("middleware", "Configuration", "Queue settings", False, 0.3, 4, 1.0,
             "Change queue settings on {ci}"),
    Template("middleware", "Middleware", "Broker upgrade", False, 1.1, 2, 4.0,
             "Upgrade broker {ci} to {a}.{b}"),
    Template("middleware", "Middleware", "Restart broker", True, -0.6, 4, 0.5,
             "Restart broker {ci}"),
    Template("middleware", "Middleware", "Add topic", True, -0.9, 5, 0.25,
             "Add topic {a} on {ci}"),
    Template("*", "Repair", "Emergency repair", False, 0.2, 0, 1.0,
             "Repair {ci}"),
)
# fmt: on
"""Every change model; the last one is for emergencies on any class."""

REPAIR = len(TEMPLATES) - 1
"""Code of the emergency repair."""

RISKINESS = np.array([template.riskiness for template in TEMPLATES])
STANDARD = np.array([template.standard for template in TEMPLATES])
HOURS = np.array([template.hours for template in TEMPLATES])
BY_CLASS = tuple(
    np.array([code for code, template in enumerate(TEMPLATES) if template.ci_class == name])
    for name in CLASSES
)
"""Codes of the change models of every class of items."""
