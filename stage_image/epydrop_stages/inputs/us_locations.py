"""The United States, its states, the District of Columbia and Puerto Rico: names, codes and populations.

Sources: codes are FIPS 5-2 and the postal abbreviations (Census Bureau, "ANSI codes for states"); an ISO 3166-2 code
is "US-" and the postal abbreviation. Populations are the Census Bureau's Vintage 2024 estimates for 1 July 2024
(NST-EST2024), the ones from which the FluSight hub of 2025-26 computes rates (its auxiliary-data/locations.csv).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class UsLocation:
    """One location; ``people`` is its population on 1 July 2024."""

    fips: str
    postal: str
    name: str
    people: int

    def names(self) -> Iterator[str]:
        """Every name that a data file or an experiment may use for it, the least ambiguous first."""
        words = self.name.replace(" ", "_")  # the spelling of epydemix-data
        yield words if self.postal in {"US", "PR"} else f"United_States_{words}"
        if self.postal != "US":
            yield f"US-{self.postal}"
        yield from dict.fromkeys((self.postal, self.fips, self.fips.removeprefix("0"), self.name))


US_LOCATIONS = (
    UsLocation("US", "US", "United States", 340_110_988),
    UsLocation("01", "AL", "Alabama", 5_157_699),
    UsLocation("02", "AK", "Alaska", 740_133),
    UsLocation("04", "AZ", "Arizona", 7_582_384),
    UsLocation("05", "AR", "Arkansas", 3_088_354),
    UsLocation("06", "CA", "California", 39_431_263),
    UsLocation("08", "CO", "Colorado", 5_957_493),
    UsLocation("09", "CT", "Connecticut", 3_675_069),
    UsLocation("10", "DE", "Delaware", 1_051_917),
    UsLocation("11", "DC", "District of Columbia", 702_250),
    UsLocation("12", "FL", "Florida", 23_372_215),
    UsLocation("13", "GA", "Georgia", 11_180_878),
    UsLocation("15", "HI", "Hawaii", 1_446_146),
    UsLocation("16", "ID", "Idaho", 2_001_619),
    UsLocation("17", "IL", "Illinois", 12_710_158),
    UsLocation("18", "IN", "Indiana", 6_924_275),
    UsLocation("19", "IA", "Iowa", 3_241_488),
    UsLocation("20", "KS", "Kansas", 2_970_606),
    UsLocation("21", "KY", "Kentucky", 4_588_372),
    UsLocation("22", "LA", "Louisiana", 4_597_740),
    UsLocation("23", "ME", "Maine", 1_405_012),
    UsLocation("24", "MD", "Maryland", 6_263_220),
    UsLocation("25", "MA", "Massachusetts", 7_136_171),
    UsLocation("26", "MI", "Michigan", 10_140_459),
    UsLocation("27", "MN", "Minnesota", 5_793_151),
    UsLocation("28", "MS", "Mississippi", 2_943_045),
    UsLocation("29", "MO", "Missouri", 6_245_466),
    UsLocation("30", "MT", "Montana", 1_137_233),
    UsLocation("31", "NE", "Nebraska", 2_005_465),
    UsLocation("32", "NV", "Nevada", 3_267_467),
    UsLocation("33", "NH", "New Hampshire", 1_409_032),
    UsLocation("34", "NJ", "New Jersey", 9_500_851),
    UsLocation("35", "NM", "New Mexico", 2_130_256),
    UsLocation("36", "NY", "New York", 19_867_248),
    UsLocation("37", "NC", "North Carolina", 11_046_024),
    UsLocation("38", "ND", "North Dakota", 796_568),
    UsLocation("39", "OH", "Ohio", 11_883_304),
    UsLocation("40", "OK", "Oklahoma", 4_095_393),
    UsLocation("41", "OR", "Oregon", 4_272_371),
    UsLocation("42", "PA", "Pennsylvania", 13_078_751),
    UsLocation("44", "RI", "Rhode Island", 1_112_308),
    UsLocation("45", "SC", "South Carolina", 5_478_831),
    UsLocation("46", "SD", "South Dakota", 924_669),
    UsLocation("47", "TN", "Tennessee", 7_227_750),
    UsLocation("48", "TX", "Texas", 31_290_831),
    UsLocation("49", "UT", "Utah", 3_503_613),
    UsLocation("50", "VT", "Vermont", 648_493),
    UsLocation("51", "VA", "Virginia", 8_811_195),
    UsLocation("53", "WA", "Washington", 7_958_180),
    UsLocation("54", "WV", "West Virginia", 1_769_979),
    UsLocation("55", "WI", "Wisconsin", 5_960_975),
    UsLocation("56", "WY", "Wyoming", 587_618),
    UsLocation("72", "PR", "Puerto Rico", 3_203_295),
)

_AMBIGUOUS = "Georgia"  # in epydemix-data this is the country; the state is United_States_Georgia
_BY_NAME = {name: one for one in US_LOCATIONS for name in one.names() if name != _AMBIGUOUS}


def us_location(name: str) -> UsLocation | None:
    """The location with that name, FIPS, postal or ISO code, or population name of epydemix-data; None if unknown."""
    return _BY_NAME.get(name)
