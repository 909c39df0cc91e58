"""Rules that look at more than one passage: anti-passback, interlock, two persons, first card, and cloned cards.

Each is a policy that a door or access point names; like every policy it can refuse and never grant. What they remember
is in the service `RuleBook`, in memory: it outlives an adoption, and no list of who was where is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from menwei import Policy, Service, hookimpl

if TYPE_CHECKING:
    from menwei.routes import Route


@hookimpl
def register_policies() -> list[type[Policy]]:
    from menwei_rules.clone import Clone
    from menwei_rules.firstcard import FirstCard
    from menwei_rules.interlock import Interlock
    from menwei_rules.passback import Passback
    from menwei_rules.twoperson import TwoPersons

    return [Passback, Interlock, TwoPersons, FirstCard, Clone]


@hookimpl
def register_services() -> list[type[Service]]:
    from menwei_rules.book import RuleBook

    return [RuleBook]


@hookimpl
def register_routes() -> list[Route]:
    from menwei_rules.api import routes

    return routes()
