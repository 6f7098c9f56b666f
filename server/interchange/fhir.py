"""Export a FHIR R4 (4.0.1) bundle with SATUSEHAT codes: posyandu, children, visits, measurements and scores.

Rules kept here:
- The bundle is a *collection*, to be handed over or inspected. It is not a submission: SATUSEHAT requires a practitioner's
  IHS number for each observation, and cadres have none; a health centre submits after review (domain.md section 4.1).
- It contains a NIK only if complete NIKs may be exported; a masked NIK identifies nobody and is left out.
- Measurements of a cadre are `preliminary` (indicated), those of the health centre `final` (confirmed). The day is known,
  the time is not.
- Codes have a version and are data (fhir_codes.toml); a category without a code in that version is given as text only.
- Resource ids are UUIDs derived from ours: the same export gives the same bundle.
"""

import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import orjson
from sqlalchemy.orm import Session

from server.children.labels import LABELS
from server.context import AppContext
from server.growth.status import (
    LENGTH_FOR_AGE_CODES,
    WASTING_CODES,
    WEIGHT_FOR_AGE_CODES,
    length_for_age_status,
    wasting_status,
    weight_for_age_status,
)
from server.growth.zscores import FIRST_STANDING_DAY
from server.interchange.child_matching import made_id
from server.interchange.export_rows import ExportChild, ExportQuery, ExportVisit, PostPlace, visits

Json = dict[str, Any]
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_UCUM: Final = "http://unitsofmeasure.org"
_CLASS: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_ADMINISTRATIVE: Final = "https://fhir.kemkes.go.id/r4/StructureDefinition/administrativeCode"
_GRADES: Final = {"n": "tidak ada", "1": "+1", "2": "+2", "3": "+3"}


@cache
def codes(path: Path | None = None) -> Mapping[str, Any]:
    """Read the table of codes from a given file, or from the one that comes with the server.

    Raises
    ------
    ValueError
        The file is not TOML, or a part is missing.
    """
    text = (
        path.read_text("utf-8") if path else files(__package__).joinpath("fhir_codes.toml").read_text("utf-8")
    )
    table = tomllib.loads(text)
    missing = [
        name for name in ("version", "systems", "measured", "scores", "interpretations") if name not in table
    ]
    if missing or table["version"] not in table.get("interpretations", {}):
        raise ValueError(
            f"the table of codes lacks {', '.join(missing) or 'its version'}: start from fhir_codes.toml"
        )
    return table


def write_bundle(
    target: IO[bytes],
    session: Session,
    hub: AppContext,
    wanted: ExportQuery,
    *,
    now: datetime,
    table: Mapping[str, Any] | None = None,
) -> int:
    """Write a bundle, entry by entry; return the number of entries.

    Parameters
    ----------
    now : aware; the time of the export
    table : codes; None for those that come with the server
    """
    bundle_id = made_id(hub, "fhir/bundle", wanted.scope.kind, wanted.scope.id, wanted.first, wanted.last)
    stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    head = {"resourceType": "Bundle", "id": bundle_id, "type": "collection", "timestamp": stamp}
    target.write(orjson.dumps(head)[:-1] + b',"entry":[')
    count = 0
    for entry in _entries(session, hub, wanted, table or codes()):
        target.write((b",\n" if count else b"\n") + orjson.dumps(entry))
        count += 1
    target.write(b"\n]}\n")
    return count


def _entries(
    session: Session, hub: AppContext, wanted: ExportQuery, table: Mapping[str, Any]
) -> Iterator[Json]:
    made: set[str] = set()
    for visit in visits(session, hub, wanted):
        visit_resources = _VisitResources(hub, visit, table)
        for resource in visit_resources.all():
            if resource["id"] not in made:
                made.add(resource["id"])
                yield {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}


class _VisitResources:
    """Makes the resources of one visit."""

    def __init__(self, hub: AppContext, visit: ExportVisit, table: Mapping[str, Any]) -> None:
        self._hub, self._visit, self._table = hub, visit, table
        self._on = visit.measured_on.isoformat()
        self._patient_id = self._id("Patient", visit.child.id)
        self._location_id = self._id("Location", visit.child.place.id)
        self._encounter_id = self._id("Encounter", visit.child.id, self._on, visit.source)

    def all(self) -> Iterator[Json]:
        """Give the post, the child, the visit, the measurements and the scores, in this order."""
        yield self._location(self._visit.child.place)
        yield self._patient_of(self._visit.child)
        yield self._encounter_of_visit()
        yield from self._measured()
        yield from self._scored()

    def _id(self, *parts: str) -> str:
        return made_id(self._hub, "fhir", *parts)

    def _location(self, place: PostPlace) -> Json:
        where = ", ".join(name for name in (place.village, place.subdistrict, place.regency) if name)
        return {
            "resourceType": "Location",
            "id": self._location_id,
            "status": "active",
            "name": place.name,
            **({"description": f"Posyandu, {where}"} if where else {}),
            "mode": "instance",
        }

    def _patient_of(self, child: ExportChild) -> Json:
        patient: Json = {"resourceType": "Patient", "id": self._patient_id, "active": True}
        if child.full_nik and child.nik:
            patient["identifier"] = [
                {"use": "official", "system": self._table["systems"]["nik"], "value": child.nik}
            ]
        if child.name:
            patient["name"] = [{"use": "official", "text": child.name}]
        patient["gender"] = {"M": "male", "F": "female"}.get(child.sex or "", "unknown")
        if child.born_on:
            patient["birthDate"] = child.born_on.isoformat()
        address = _address(child)
        if address:
            patient["address"] = [address]
        return patient

    def _encounter_of_visit(self) -> Json:
        return {
            "resourceType": "Encounter",
            "id": self._encounter_id,
            **self._identifier("encounter", self._encounter_id),
            "status": "finished",
            "class": {"system": _CLASS, "code": "AMB", "display": "ambulatory"},
            "subject": {"reference": f"urn:uuid:{self._patient_id}"},
            "period": {"start": self._on, "end": self._on},
            "location": [{"location": {"reference": f"urn:uuid:{self._location_id}"}}],
        }

    def _identifier(self, kind: str, value: str) -> Json:
        organization = self._table.get("organization")
        if not organization:
            return {}
        return {"identifier": [{"system": f"{self._table['systems'][kind]}/{organization}", "value": value}]}

    def _observation(self, what: str, code: Mapping[str, str], category: str, value: Json) -> Json:
        return {
            "resourceType": "Observation",
            "id": (
                own_id := self._id("Observation", self._visit.child.id, self._on, self._visit.source, what)
            ),
            **self._identifier("observation", own_id),
            "status": "final" if self._visit.source == "staff" else "preliminary",
            "category": [{"coding": [{"system": _CATEGORY, "code": category}]}],
            "code": {"coding": [dict(code)]},
            "subject": {"reference": f"urn:uuid:{self._patient_id}"},
            "encounter": {"reference": f"urn:uuid:{self._encounter_id}"},
            "effectiveDateTime": self._on,
            **value,
        }

    def _measured(self) -> Iterator[Json]:
        visit = self._visit
        positions = {"lying": "length_lying", "standing": "length_standing"}
        found = (
            ("weight", visit.weight_g, 1000),
            (positions.get(visit.position or "", "length"), visit.length_mm, 10),
            ("head", visit.head_mm, 10),
            ("muac", visit.muac_mm, 10),
        )
        for what, whole, unit in found:
            if whole is not None:
                yield self._of(what, _quantity(whole / unit, self._table["measured"][what]["unit"]))
        if visit.weight_g is not None and visit.length_mm:
            bmi = round(visit.weight_g / 1000 / (visit.length_mm / 1000) ** 2, 2)
            yield self._of("bmi", _quantity(bmi, self._table["measured"]["bmi"]["unit"]))
        if visit.oedema is not None:
            yield self._of("oedema", {"valueCodeableConcept": {"text": _GRADES[visit.oedema]}})
        if visit.gain in ("N", "T"):
            yield self._of("gain", {"valueBoolean": visit.gain == "N"})

    def _of(self, what: str, value: Json) -> Json:
        entry = self._table["measured"][what]
        code = {
            "system": self._table["systems"][entry["system"]],
            "code": entry["code"],
            "display": entry["display"],
        }
        return self._observation(what, code, entry["category"], value)

    def _scored(self) -> Iterator[Json]:
        visit, snomed = self._visit, self._table["systems"]["snomed"]
        standing = visit.age_days is not None and visit.age_days >= FIRST_STANDING_DAY
        for index in ("waz", "haz", "whz", "baz", "hcz"):
            z = visit.z[index]
            if z is None:
                continue
            name = f"{index}_{'standing' if standing else 'lying'}" if index in ("haz", "whz") else index
            entry = self._table["scores"][name]
            code = {"system": snomed, "code": entry["code"], "display": entry["display"]}
            value: Json = _quantity(z, "{Zscore}")
            meaning = self._interpretation(index, z)
            if meaning:
                value["interpretation"] = [meaning]
            if index in visit.implausible:
                value["note"] = [{"text": "Di luar batas kewajaran WHO: ukur ulang."}]
            yield self._observation(index, code, "exam", value)

    def _interpretation(self, index: str, z: float) -> Json | None:
        """Give the category of a score: SATUSEHAT's code if the version has one, and our text."""
        if index not in _CLASSES:
            return None
        labels, classed = _CLASSES[index]
        score = np.array([z])
        oedema = np.array([self._visit.oedema not in (None, "n")])
        number = int((classed(score, oedema) if classed is wasting_status else classed(score))[0])
        if number < 0:
            return None
        meaning: Json = {"text": LABELS[labels[number]].id}
        listed = self._table["interpretations"][self._table["version"]].get(
            "whz" if index == "baz" else index
        )
        if listed:
            code = listed[number]
            system = "kemkes" if code.startswith("OI") else "snomed"
            meaning["coding"] = [{"system": self._table["systems"][system], "code": code}]
        return meaning


_CLASSES: Final[Mapping[str, tuple[tuple[str, ...], Any]]] = {
    "waz": (WEIGHT_FOR_AGE_CODES, weight_for_age_status),
    "haz": (LENGTH_FOR_AGE_CODES, length_for_age_status),
    "whz": (WASTING_CODES, wasting_status),
    "baz": (WASTING_CODES, wasting_status),
}


def _quantity(value: float, unit: str) -> Json:
    return {"valueQuantity": {"value": value, "unit": unit, "system": _UCUM, "code": unit}}


def _address(child: ExportChild) -> Json:
    """Give the address with the ministry's extension: region codes without dots, RT and RW."""
    code = child.get("home", "village") or child.place.village_code
    if not code:
        return {}
    parts = code.split(".")
    levels = ("province", "city", "district", "village")
    given = [{"url": name, "valueCode": "".join(parts[: place + 1])} for place, name in enumerate(levels)]
    address: Json = {"use": "home", "country": "ID"}
    if child.shows_names:
        given += [
            {"url": name, "valueCode": text} for name in ("rt", "rw") if (text := child.get("home", name))
        ]
        if line := child.get("home", "address"):
            address["line"] = [line]
    return {**address, "extension": [{"url": _ADMINISTRATIVE, "extension": given}]}
