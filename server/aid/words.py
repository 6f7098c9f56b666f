"""The codes of aid with their texts in Indonesian and English. `schemas` defines the codes of a delivery."""

from collections.abc import Mapping
from typing import Final

from server.translations import T_, Text

Words = Mapping[str, Text]

MENUS: Final[Words] = {
    "food": T_("Food"),
    "insurance": T_("Health insurance"),
    "counselling": T_("Counselling"),
    "latrine": T_("Latrine"),
    "water": T_("Clean water"),
    "housing": T_("Decent housing"),
    "other": T_("Other"),
}
FUNDS: Final[Words] = {
    "genting": T_("Genting (foster parents)"),
    "csr": T_("CSR of a company"),
    "dak": T_("DAK (state PMT)"),
    "apbd": T_("Regional budget (state PMT)"),
    "village": T_("Village fund"),
    "partner": T_("Another partner"),
}
STATE: Final = frozenset({"dak", "apbd", "village"})
"""Funds of the state: food paid from them is PMT."""
DONOR_KINDS: Final[Words] = {
    "government": T_("Government"),
    "business": T_("Business"),
    "community": T_("Community"),
    "academia": T_("Academia"),
    "media": T_("Media"),
}
AUTHORITIES: Final[Words] = {
    "centre": T_("Centre"),
    "province": T_("Province"),
    "regency": T_("Regency", "level of government"),
}
CATEGORIES: Final[Words] = {
    "specific": T_("Stunting-specific"),
    "sensitive": T_("Stunting-sensitive"),
    "disaster": T_("Disaster"),
    "other": T_("Other", "category of aid"),
}
FOR_STUNTING: Final = ("specific", "sensitive")
STATUSES: Final[Words] = {
    "taken": T_("Recorded"),
    "open": T_("To be looked at"),
    "refused": T_("Refused"),
    "dropped": T_("Left out"),
}
REACHES: Final[Words] = {"child": T_("The child", "who is reached"), "family": T_("The family")}
UNITS: Final[Words] = {
    "portion": T_("portions"),
    "packet": T_("packets"),
    "session": T_("sessions"),
    "piece": T_("pieces"),
    "month": T_("months"),
}
EVIDENCE: Final[Words] = {
    "photo": T_("Photo"),
    "signature": T_("Signature"),
    "receipt": T_("Receipt"),
    "list": T_("List of who came"),
    "seen": T_("Seen"),
}
VERDICTS: Final[Words] = {
    "received": T_("Received"),
    "partly": T_("Partly received"),
    "not_received": T_("Not received"),
}
NEEDS: Final[Words] = {
    "stunted": T_("Stunted"),
    "wasted": T_("Wasted"),
    "two_t": T_("2T"),
    "krs": T_("Family at risk", "need"),
}
"""Why somebody needs aid, the gravest first; a child counts once, under its first reason."""
CLOSINGS: Final[Words] = {
    "fulfilled": T_("Fulfilled"),
    "withdrawn": T_("Withdrawn by the donor"),
    "ended": T_("Its time is over"),
    "mistaken": T_("Written down by mistake"),
}
"""Why a commitment is closed; nothing more can be assigned from it."""
ASKED: Final[Words] = {
    "name": T_("Name"),
    "kind": T_("Kind of donor"),
    "authority": T_("Who supervises it"),
    "donor": T_("Donor"),
    "commitment": T_("Commitment"),
    "menu": T_("What is given"),
    "funds": T_("Who pays"),
    "region": T_("Where it may go", "field of a form"),
    "places": T_("How many children or families"),
    "value_rp": T_("Value (Rp)"),
    "starts_on": T_("From", "field of a form"),
    "ends_on": T_("Until"),
    "months": T_("How many months"),
    "reason": T_("Reason"),
    "title": T_("What was done", "field of a form"),
    "village": T_("Village", "field of a form"),
    "reached": T_("How many reached"),
    "category": T_("Category"),
}
"""Fields of requests to the register, as error messages name them."""
FIELDS: Final[Words] = {
    "title": T_("Activity"),
    "sector": T_("Sector"),
    "company": T_("Company"),
    "village": T_("Village", "column of a sheet"),
    "subdistrict": T_("Subdistrict"),
    "starts": T_("From", "column of a sheet"),
    "ends": T_("Until", "column of a sheet"),
    "value": T_("Value (Rp)"),
    "reached": T_("How many reached"),
    "beneficiary": T_("Name of who received"),
    "nik": T_("NIK of who received"),
    "evidence": T_("Evidence"),
}
"""What a column of a CSR sheet may mean."""
REASONS: Final[Words] = {
    "no-title": T_("No activity: write what it was."),
    "no-date": T_("No day: write the day or month it began."),
    "not-date": T_("The day cannot be read: write it like 5/3/2026 or March 2026."),
    "not-rupiah": T_("The value cannot be read: write whole rupiah, like 2,700,000."),
    "not-count": T_("How many were reached is no whole number."),
    "ends-before-start": T_("It ends before it begins: check both days."),
    "village-missing": T_("No village: choose it."),
    "village-unknown": T_("No such village in this regency: choose it."),
    "village-unclear": T_("Several villages are called so: choose one."),
    "beneficiary-unknown": T_("No child with that NIK is registered here; it counts for the village."),
    "beneficiary-unmatched": T_("Who received it is given by name only; it counts for the village until matched."),
    "company-unknown": T_("The company is not in the register of donors: add it first."),
}  # fmt: skip
