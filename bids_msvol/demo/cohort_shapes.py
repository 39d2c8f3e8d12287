# SPDX-License-Identifier: Apache-2.0
"""The studies that can be simulated, each of the form of a published one, and what is planted in them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bids_msvol.demo.cohort_anatomy import CORD_MM2, FLUID, NAMES
from bids_msvol.demo.cohort_shape import Arm, Brain, Clinic, Cord, Lesions, Shape


def _cord(upper_pct: float, c6_pct: float, c7_pct: float) -> dict[str, float]:
    """Return a difference of C1 to C5, and those of the levels below."""
    return {**dict.fromkeys(CORD_MM2, upper_pct), "C6": c6_pct, "C7": c7_pct}


def _everywhere(tissue_pct: float, fluid_pct: float, **others: float) -> dict[str, float]:
    """Return a number for each tissue and one for each ventricle, with exceptions (``_`` for the hyphens)."""
    own = {name: fluid_pct if name in FLUID else tissue_pct for name in NAMES}
    return {**own, **{name.replace("_", "-"): value for name, value in others.items()}}


_MS_DIFFERENCES = _everywhere(-1.5, 25.0, Thalamus=-8.0, Putamen=-5.0, Caudate=-5.0, Pallidum=-4.0)
_MS_RATES = _everywhere(-0.2, 2.0, Thalamus=-0.6, Putamen=-0.4, Caudate=-0.4)

TREATMENT = Shape(
    "treatment",
    "Two treatments in relapsing-remitting MS, four yearly scans of which many are missing, of the form of the study "
    "of Pogoda-Wesolowska et al. 2025: with cladribine each new lesion, and each lesion of the first scan, takes its "
    "toll of the thalamus, the deep grey matter and the cerebellum; with alemtuzumab none does.",
    (
        Arm(
            "CLAD",
            33,
            phenotype="RRMS",
            treatment="CLAD",
            women=0.73,
            age=(37.6, 9.0),
            duration=(1.0, 17.0),
            clinic=Clinic((3.0, 1.1), relapses_before=1.30, relapses_per_year=0.27),
            lesions=Lesions(3.39, (0.56, 0.05, 0.85), not_given=0.05),
            brain=Brain(
                _MS_DIFFERENCES,
                _MS_RATES,
                per_lesion_pct_etiv={
                    "Thalamus": -0.0099,
                    "Caudate": -0.001,
                    "Putamen": -0.002,
                    "Amygdala": -0.0018,
                    "Cerebellum-Cortex": -0.040,
                    "Cerebellum-White-Matter": -0.011,
                    "Lateral-Ventricle": 0.034,
                },
                per_first_lesion_pct_etiv={
                    "Thalamus": -0.004,
                    "Putamen": -0.002,
                    "Caudate": -0.002,
                    "Cerebral-Cortex": -0.04,
                    "Cerebral-White-Matter": -0.03,
                    "Cerebellum-Cortex": -0.02,
                    "Lateral-Ventricle": 0.03,
                },
            ),
            scans={"1111": 8, "1101": 1, "1110": 8, "0111": 2, "1100": 12, "0011": 2},
        ),
        Arm(
            "ALEM",
            19,
            phenotype="RRMS",
            treatment="ALEM",
            women=1.0,
            age=(33.3, 8.0),
            duration=(1.0, 14.0),
            clinic=Clinic((3.9, 1.1), relapses_before=2.26, relapses_per_year=0.23),
            lesions=Lesions(5.2, (0.26, 0.17, 0.92), not_given=0.05),
            brain=Brain(_MS_DIFFERENCES, _MS_RATES),
            scans={"1111": 6, "1101": 1, "1110": 5, "1100": 2, "0111": 2, "0011": 1, "1000": 2},
        ),
    ),
    years=3,
    planted_exclusions=True,
)

NETWORKS = Shape(
    "networks",
    "Multiple sclerosis, neuromyelitis optica and healthy controls, one scan, of the form of the study of Xie et al. "
    "2023: MS has smaller subcortical structures, and its thalamus goes with hippocampus and amygdala, which it does "
    "not in healthy people; NMOSD has normal volumes, and lacks the connections of the striatum.",
    (
        Arm("HC", 34, group="HC", phenotype="HC", women=0.65, age=(36.0, 9.0)),
        Arm(
            "MS",
            40,
            group="MS",
            phenotype="RRMS",
            age=(35.0, 9.0),
            duration=(0.5, 12.0),
            clinic=Clinic((2.5, 1.2)),
            lesions=Lesions(),
            brain=Brain(
                _everywhere(-1.5, 25.0, Thalamus=-11.0, Putamen=-8.0, Caudate=-8.0, Pallidum=-8.0, Brain_Stem=-6.0),
                correlations={
                    ("Thalamus", "Hippocampus"): 0.94,
                    ("Thalamus", "Amygdala"): 0.94,
                    ("Hippocampus", "Amygdala"): 0.90,
                },
            ),
        ),
        Arm(
            "NMOSD",
            35,
            group="NMOSD",
            phenotype="NMOSD",
            women=0.88,
            age=(39.0, 10.0),
            duration=(0.5, 10.0),
            clinic=Clinic((3.0, 1.5)),
            lesions=Lesions(0.3, all_at_first=4.0),
            brain=Brain(
                correlations={
                    ("Caudate", "Putamen"): 0.0,
                    ("Caudate", "Pallidum"): 0.0,
                    ("Putamen", "Pallidum"): 0.0,
                }
            ),
        ),
    ),
)

CORD = Shape(
    "cord",
    "The cervical cord by phenotype and level at two scans a year apart, of the form of the study of Rocca et al. "
    "2019: isolated syndromes and early relapsing MS are normal, late relapsing MS has lost tissue from C1 to C5, "
    "progressive MS at all levels; early relapsing MS loses fastest, isolated syndromes nothing beyond ageing.",
    (
        Arm("HC", 60, phenotype="HC", women=0.55, age=(40.0, 11.0)),
        Arm(
            "CIS", 25, phenotype="CIS", age=(33.0, 8.0), duration=(0.1, 1.0),
            clinic=Clinic((1.5, 0.6), (0.0, 3.0)), lesions=Lesions(0.8, all_at_first=8.0),
        ),
        Arm(
            "early RRMS", 45, phenotype="RRMS", age=(35.0, 8.0), duration=(1.0, 5.0),
            clinic=Clinic((2.0, 1.0)), lesions=Lesions(), brain=Brain(_MS_DIFFERENCES, _MS_RATES),
            cord=Cord(_cord(-1.0, 0.0, 0.0), -1.9, 0.4),
        ),
        Arm(
            "late RRMS", 55, phenotype="RRMS", age=(44.0, 8.0), duration=(5.5, 22.0),
            clinic=Clinic((2.5, 1.2)), lesions=Lesions(1.0, (0.3,)), brain=Brain(_MS_DIFFERENCES, _MS_RATES),
            cord=Cord(_cord(-7.0, -2.0, -1.0), -1.0, 0.4),
        ),
        Arm(
            "SPMS", 45, phenotype="SPMS", age=(50.0, 8.0), duration=(10.0, 30.0),
            clinic=Clinic((5.5, 0.8), (4.0, 7.0), relapses_before=0.1, relapses_per_year=0.05, pira_per_year=0.15),
            lesions=Lesions(0.4, (0.15,)), brain=Brain(_MS_DIFFERENCES, _MS_RATES),
            cord=Cord(_cord(-15.0, -14.0, -13.0), -1.3, 0.3),
        ),
        Arm(
            "PPMS", 35, phenotype="PPMS", women=0.5, age=(50.0, 9.0), duration=(3.0, 20.0),
            clinic=Clinic((5.0, 0.9), (3.0, 7.0), relapses_before=0.0, relapses_per_year=0.0, pira_per_year=0.15),
            lesions=Lesions(0.3, (0.15,)), brain=Brain(_MS_DIFFERENCES, _MS_RATES),
            cord=Cord(_cord(-12.0, -8.0, -7.0), -1.3, 0.3),
        ),
    ),
    years=1,
    has_cord=True,
)  # fmt: skip


def _stratum(low: float, high: float, persons: int, brain_pct: float, cord_pct: float, with_brain: float) -> Arm:
    """Return people of MS with an EDSS between two values."""
    return Arm(
        f"EDSS {low:g}-{high:g}",
        persons,
        group="MS",
        phenotype="RRMS" if high < 4.5 else "SPMS",
        age=(40.0 + 1.5 * low, 9.0),
        duration=(1.0 + low, 12.0 + 2.0 * low),
        clinic=Clinic(((low + high) / 2.0, 1.0), (low, high)),
        lesions=Lesions(),
        brain=Brain(_everywhere(brain_pct, -8.0 * brain_pct, Thalamus=4.0 * brain_pct, Brain_Stem=2.0 * brain_pct)),
        cord=Cord(dict.fromkeys(CORD_MM2, cord_pct), with_brain=with_brain),
    )


DISABILITY = Shape(
    "disability",
    "Brain and cord by disability, one scan, of the form of the study of Vaneckova et al. 2018: both go together at "
    "an EDSS up to 3.5 and hardly beyond, and people with an EDSS of 2 to 2.5 differ from those with 3 to 3.5 in the "
    "cord alone.",
    (
        Arm("HC", 60, group="HC", phenotype="HC", cord=Cord(with_brain=0.55)),
        _stratum(0.0, 1.5, 60, -1.0, -1.0, 0.80),
        _stratum(2.0, 2.5, 80, -1.6, -2.0, 0.80),
        _stratum(3.0, 3.5, 70, -1.6, -9.0, 0.80),
        _stratum(4.0, 4.5, 50, -2.6, -11.0, 0.0),
        _stratum(5.0, 7.0, 50, -3.2, -15.0, 0.0),
    ),
    has_cord=True,
)


def _progression(name: str, persons: int, clinic: Clinic, **rates: float) -> Arm:
    """Return people with relapsing MS of one course."""
    return Arm(
        name,
        persons,
        group="MS",
        phenotype="RRMS",
        clinic=clinic,
        lesions=Lesions(1.0, (0.3,)),
        brain=Brain(_MS_DIFFERENCES, _everywhere(-0.1, 1.0, **rates)),
        cord=Cord(dict.fromkeys(CORD_MM2, -4.0), {"stable": -0.4, "PIRA": -1.8, "RAW": -0.9}[name]),
    )


PROGRESSION = Shape(
    "progression",
    "Relapsing MS over four years, with healthy controls: people who progress without relapses (PIRA) lose cortex, "
    "deep grey matter, amygdala, cord, retina and SDMT faster than those who worsen with a relapse (RAW), and these "
    "faster than those whose EDSS is stable.",
    (
        Arm("HC", 40, group="HC", phenotype="HC"),
        _progression("stable", 80, Clinic(lasting=0.0, pira_per_year=0.0, improvement_per_year=0.0)),
        _progression(
            "PIRA", 45, Clinic(certain="PIRA", relapses_per_year=0.1, sdmt_per_year=-1.8),
            Cerebral_Cortex=-0.5, Thalamus=-1.3, Caudate=-0.9, Putamen=-0.9, Amygdala=-1.6, Hippocampus=-0.8,
            Lateral_Ventricle=3.5,
        ),
        _progression(
            "RAW", 35, Clinic(certain="RAW", relapses_per_year=0.3, sdmt_per_year=-0.7),
            Cerebral_Cortex=-0.2, Thalamus=-0.8, Amygdala=-0.4, Lateral_Ventricle=1.8,
        ),
    ),
    years=4,
    has_cord=True,
    has_eyes=True,
    read_lesions=False,
    missing_scans=0.05,
)  # fmt: skip


def _large(name: str, persons: int, relapses: float, lesions: float, toll: float) -> Arm:
    """Return one treatment of the large study."""
    return Arm(
        name,
        persons,
        group="MS",
        phenotype="RRMS",
        treatment=name,
        clinic=Clinic(relapses_per_year=relapses),
        lesions=Lesions(2.0, (lesions,), not_given=0.1),
        brain=Brain(
            _MS_DIFFERENCES,
            _MS_RATES,
            per_lesion_pct_etiv={"Thalamus": -0.005 * toll, "Cerebral-White-Matter": -0.02 * toll},
        ),
        cord=Cord(dict.fromkeys(CORD_MM2, -5.0), -0.9),
    )


LARGE = Shape(
    "large",
    "Ten thousand people with four scans: three treatments that differ in relapses, lesions and what lesions cost, "
    "progressive MS, and healthy controls, with everything that can be measured.",
    (
        Arm("HC", 1500, group="HC", phenotype="HC"),
        _large("DRUGA", 3000, 0.15, 0.2, 0.0),
        _large("DRUGB", 2500, 0.25, 0.5, 1.0),
        _large("DRUGC", 2000, 0.40, 0.9, 1.0),
        Arm(
            "NONE", 1000, group="MS", phenotype="SPMS", treatment="NONE", age=(51.0, 8.0), duration=(10.0, 30.0),
            clinic=Clinic((5.5, 0.8), (4.0, 7.0), relapses_per_year=0.05, pira_per_year=0.15, sdmt_per_year=-1.0),
            lesions=Lesions(0.4, (0.15,), not_given=0.1),
            brain=Brain(_everywhere(-3.0, 40.0, Thalamus=-12.0), _everywhere(-0.35, 3.0, Thalamus=-0.9)),
            cord=Cord(_cord(-14.0, -12.0, -11.0), -1.4),
        ),
    ),
    years=3,
    has_cord=True,
    has_eyes=True,
    missing_scans=0.05,
    poor_scans=0.02,
)  # fmt: skip

SHAPES: Mapping[str, Shape] = MappingProxyType(
    {shape.name: shape for shape in (TREATMENT, NETWORKS, CORD, DISABILITY, PROGRESSION, LARGE)}
)
"""By name; the first is the default."""
