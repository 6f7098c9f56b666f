"""What a child is to be given and when: vaccines, vitamin A, deworming, KPSP. PURE.

    data        the schedule: a versioned file, checked when it is read, and what a district chooses in it
    calendar    the calendar of one child on one day: given, due, overdue, later

Imports the standard library only. The tablet has the same rules in `tablet/growth/schedule.js`, and gets the data of this
package in `growth.json`; tests hold both equal. docs/schedule.md explains the rules.
"""

from server.schedule.calendar import DUE, GIVEN, LATER, MISSED, OVERDUE, UNRECORDED, Given, Item, calendar
from server.schedule.data import SHIPPED, Choices, Schedule, schedule, wire

__all__ = [
    "DUE",
    "GIVEN",
    "LATER",
    "MISSED",
    "OVERDUE",
    "SHIPPED",
    "UNRECORDED",
    "Choices",
    "Given",
    "Item",
    "Schedule",
    "calendar",
    "schedule",
    "wire",
]
