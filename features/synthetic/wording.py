"""Words of tickets: titles, plans and the phrases people write when they have nothing to say."""

from __future__ import annotations

from collections.abc import Sequence

from features.synthetic.templates import Template

_STEPS = {
    "application": (
        "Take the node out of the pool",
        "Stop the application service",
        "Install the new package from the repository",
        "Apply the configuration from the release branch",
        "Start the service and wait for the health check",
        "Put the node back into the pool",
        "Compare error rates with yesterday",
    ),
    "database": (
        "Take a full backup and check its size",
        "Stop the replication to the standby",
        "Run the script in the change folder",
        "Gather statistics on the changed tables",
        "Start the replication and wait until it has caught up",
        "Run the report of slow statements",
    ),
    "server": (
        "Take a snapshot of the machine",
        "Move the load to its neighbour",
        "Install the packages",
        "Reboot",
        "Check the services and the file systems",
        "Move the load back",
        "Remove the snapshot after three days",
    ),
    "network": (
        "Save the running configuration",
        "Load the new configuration on the standby unit",
        "Switch over to the standby unit",
        "Check routes and sessions from two sites",
        "Load the new configuration on the other unit",
        "Save the new configuration",
    ),
    "storage": (
        "Check the health of all controllers",
        "Stop the scheduled copy jobs",
        "Carry out the steps of the vendor's guide",
        "Check paths on the attached servers",
        "Start the copy jobs",
    ),
    "middleware": (
        "Drain the queues",
        "Stop the consumers",
        "Apply the new settings",
        "Start the broker and check the cluster state",
        "Start the consumers and watch the queue depth",
    ),
}
_STEPS["load_balancer"] = _STEPS["network"]
_STEPS["*"] = _STEPS["server"]

_REASONS = (
    "The vendor ends support for the present version at the end of the quarter.",
    "Capacity will run out within six weeks at the present growth.",
    "An audit finding asks for it.",
    "The project needs it for its next release.",
    "Users report slow answers in the morning.",
    "A security advisory recommends it.",
    "It is part of the monthly maintenance.",
    "It removes a workaround that has been in place since the last release.",
)
_DETAILS = (
    "Users will not notice anything.",
    "The service is not available for a few minutes.",
    "It was done in the test environment last week.",
    "The second site is not affected.",
    "Monitoring is switched to maintenance mode meanwhile.",
    "The business has been informed.",
    "A colleague of the vendor is on call.",
    "All interfaces stay as they are.",
)
_BACKOUT = (
    "Restore the snapshot taken in step 1, start the services and repeat the checks.",
    "Install the former package, load the saved configuration and restart.",
    "Switch back to the standby unit, which still has the old configuration.",
    "Restore the backup, run the check script and inform the service desk.",
    "Undo the steps in reverse order; this takes about twenty minutes.",
    "Point the pool to the old nodes, which stay in place for a week.",
)
_TESTS = (
    "Log in, open an account and book a test order.",
    "Run the smoke tests of the release pipeline and compare with the last run.",
    "Check monitoring for thirty minutes; no new alerts are expected.",
    "Ask the key user to confirm the three main processes.",
    "Send one message through every interface and follow it to the end.",
)
_NOTHING = ("N/A", "TBC", "n/a", "see above", "Not required", "as usual", "None", "TBD", "-")
_SYMPTOMS = {
    "application": ("slow answers", "error page after login", "jobs do not start"),
    "database": ("sessions blocked", "connection pool exhausted", "replication lag"),
    "server": ("not reachable", "file system full", "high load"),
    "middleware": ("queue depth rising", "messages stuck", "consumer disconnected"),
    "load_balancer": ("pool member down", "certificate warning", "uneven load"),
    "network": ("packet loss", "interface flapping", "route missing"),
    "storage": ("path lost", "high latency", "volume offline"),
}


def pick(options: Sequence[str], chance: int) -> str:
    """One of several phrases."""
    return options[chance % len(options)]


def nothing(chance: int) -> str:
    """A phrase that fills a field and says nothing."""
    return pick(_NOTHING, chance)


def title(template: Template, ci: str, service: str, chance: int) -> str:
    """A change's short description."""
    return template.title.format(ci=ci, service=service, a=3 + chance % 21, b=chance // 21 % 10)


def description(what: str, service: str, chance: int) -> str:
    """A change's description, one to four sentences."""
    details = [pick(_DETAILS, chance // 7 + 3 * n) for n in range(chance % 4)]
    return " ".join([f"{what} for service {service}.", *dict.fromkeys(details)])


def justification(chance: int) -> str:
    """Why a change is wanted."""
    return pick(_REASONS, chance)


def implementation(template: Template, chance: int) -> str:
    """Numbered steps of a change."""
    steps = _STEPS[template.ci_class]
    count = 2 + chance % (len(steps) - 1)
    return "\n".join(f"{number}. {step}." for number, step in enumerate(steps[:count], 1))


def backout(chance: int) -> str:
    """A backout plan that says something."""
    return " ".join(dict.fromkeys(pick(_BACKOUT, chance // 5 + n) for n in range(1 + chance % 2)))


def check_plan(chance: int) -> str:
    """How the result is checked."""
    return " ".join(dict.fromkeys(pick(_TESTS, chance // 5 + n) for n in range(1 + chance % 3)))


def symptom(ci_class: str, chance: int) -> str:
    """What an incident looks like."""
    return pick(_SYMPTOMS[ci_class], chance)
