# SPDX-License-Identifier: Apache-2.0
"""The publications behind the analyses of the group level, and which of them a report must name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

from bids_msvol.report.citations import find_cited
from bids_msvol.report.group_families import find_families

if TYPE_CHECKING:
    from bids_msvol.group.results import GroupResults

_EVENTS = ("disease_activity", "time_to_event", "definitions_compared", "progression")
"""Analyses that look for worsening."""

_CORRECTED = "q values"
"""Stands for every analysis with q values."""


@dataclass(frozen=True)
class GroupReference:
    """One publication.

    Attributes
    ----------
    key
        First author and year.
    text
        How it is printed.
    doi
        Digital object identifier; empty where none is known.
    analyses
        Names of the analyses that rest on it.
    """

    key: str
    text: str
    doi: str
    analyses: tuple[str, ...]

    @property
    def url(self) -> str:
        """Address of the publication, or an empty text."""
        return f"https://doi.org/{quote(self.doi, safe='/():;.')}" if self.doi else ""


GROUP_REFERENCES: tuple[GroupReference, ...] = (
    GroupReference(
        "Beadnall 2019",
        "Beadnall HN and others (2019). Therapeutic Advances in Neurological Disorders 12.",
        "10.1177/1756286418823462",
        ("disease_activity",),
    ),
    GroupReference(
        "Benjamini 1995",
        "Benjamini Y, Hochberg Y (1995). Controlling the false discovery rate: a practical and powerful approach to "
        "multiple testing. Journal of the Royal Statistical Society B 57(1):289-300.",
        "10.1111/j.2517-6161.1995.tb02031.x",
        (_CORRECTED,),
    ),
    GroupReference(
        "Cox 1972",
        "Cox DR (1972). Regression models and life-tables. Journal of the Royal Statistical Society B 34(2):187-220.",
        "10.1111/j.2517-6161.1972.tb00899.x",
        ("time_to_event",),
    ),
    GroupReference(
        "De Stefano 2016",
        "De Stefano N, Stromillo ML, Giorgio A, Bartolozzi ML, Battaglini M, Baldini M, and others (2016). "
        "Establishing pathological cut-offs of brain atrophy rates in multiple sclerosis. Journal of Neurology, "
        "Neurosurgery and Psychiatry 87(1):93-99.",
        "10.1136/jnnp-2014-309903",
        ("disease_activity", "atrophy_rates"),
    ),
    GroupReference(
        "DeLong 1988",
        "DeLong ER, DeLong DM, Clarke-Pearson DL (1988). Comparing the areas under two or more correlated receiver "
        "operating characteristic curves: a nonparametric approach. Biometrics 44(3):837-845.",
        "10.2307/2531595",
        ("baseline_groups", "brain_cord"),
    ),
    GroupReference(
        "Efron 1977",
        "Efron B (1977). The efficiency of Cox's likelihood function for censored data. Journal of the American "
        "Statistical Association 72(359):557-565.",
        "10.1080/01621459.1977.10480613",
        ("time_to_event",),
    ),
    GroupReference(
        "Hodges 1963",
        "Hodges JL, Lehmann EL (1963). Estimates of location based on rank tests. Annals of Mathematical Statistics "
        "34(2):598-611.",
        "10.1214/aoms/1177704172",
        ("baseline_groups", "yearly_course", "activity_atrophy"),
    ),
    GroupReference(
        "Kaplan 1958",
        "Kaplan EL, Meier P (1958). Nonparametric estimation from incomplete observations. Journal of the American "
        "Statistical Association 53(282):457-481.",
        "10.1080/01621459.1958.10501452",
        ("time_to_event",),
    ),
    GroupReference(
        "Kappos 2016",
        "Kappos L and others (2016). Inclusion of brain volume loss in a revised measure of 'no evidence of disease "
        "activity' (NEDA-4) in relapsing-remitting multiple sclerosis. Multiple Sclerosis Journal 22(10):1297-1305.",
        "",
        ("disease_activity",),
    ),
    GroupReference(
        "Kappos 2020",
        "Kappos L, Wolinsky JS, Giovannoni G, and others (2020). Contribution of relapse-independent progression vs "
        "relapse-associated worsening to overall confirmed disability accumulation in typical relapsing multiple "
        "sclerosis in a pooled analysis of 2 randomized clinical trials. JAMA Neurology 77(9):1132-1140.",
        "10.1001/jamaneurol.2020.1568",
        ("definitions_compared",),
    ),
    GroupReference(
        "Kuznetsova 2017",
        "Kuznetsova A, Brockhoff PB, Christensen RHB (2017). lmerTest package: tests in linear mixed effects models. "
        "Journal of Statistical Software 82(13):1-26.",
        "10.18637/jss.v082.i13",
        ("lesions_yearly", "activity_atrophy", "atrophy_rates", "progression", "cord_levels"),
    ),
    GroupReference(
        "Montobbio 2024",
        "Montobbio N, Carmisciano L, Signori A, and others (2024). Creating an automated tool for a consistent and "
        "repeatable evaluation of disability progression in clinical studies for multiple sclerosis. Multiple "
        "Sclerosis Journal 30(9):1185-1192.",
        "10.1177/13524585241243157",
        _EVENTS,
    ),
    GroupReference(
        "Müller 2023",
        "Müller J, Cagol A, Lorscheider J, and others (2023). Harmonizing definitions for progression independent of "
        "relapse activity in multiple sclerosis: a systematic review. JAMA Neurology 80(11):1232-1245.",
        "10.1001/jamaneurol.2023.3331",
        ("definitions_compared",),
    ),
    GroupReference(
        "Müller 2025",
        "Müller J, Sharmin S, Lorscheider J, and others (2025). Standardized definition of progression independent of "
        "relapse activity (PIRA) in relapsing-remitting multiple sclerosis. JAMA Neurology 82(6):614-625.",
        "10.1001/jamaneurol.2025.0495",
        ("definitions_compared",),
    ),
    GroupReference(
        "Newcombe 1998",
        "Newcombe RG (1998). Interval estimation for the difference between independent proportions: comparison of "
        "eleven methods. Statistics in Medicine 17(8):873-890.",
        "10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
        ("baseline_groups", "disease_activity", "definitions_compared"),
    ),
    GroupReference(
        "Phipson 2010",
        "Phipson B, Smyth GK (2010). Permutation p-values should never be zero: calculating exact p-values when "
        "permutations are randomly drawn. Statistical Applications in Genetics and Molecular Biology 9(1):39.",
        "10.2202/1544-6115.1585",
        ("disease_activity", "activity_atrophy", "covariance_network", "brain_cord", "lesion_maps"),
    ),
    GroupReference(
        "Pogoda-Wesołowska 2025",
        "Pogoda-Wesołowska A, Stachura I, Szukało P, Wieczorek M, Stępień A (2025). Assessment of brain atrophy as a "
        "promising marker of radiological activity in patients with relapsing-remitting multiple sclerosis. Frontiers "
        "in Neuroscience 19:1661539.",
        "10.3389/fnins.2025.1661539",
        ("lesions_yearly", "lesions_baseline", "activity_atrophy"),
    ),
    GroupReference(
        "Portaccio 2025",
        "Portaccio E and others (2025). Toward a unified definition of progression independent of relapse activity in "
        "multiple sclerosis. Neurology 105.",
        "",
        ("definitions_compared",),
    ),
    GroupReference(
        "Rocca 2019",
        "Rocca MA and others, MAGNIMS Study Group (2019). Clinically relevant cranio-caudal patterns of cervical cord "
        "atrophy evolution in MS. Neurology 93:e1852-e1866.",
        "",
        ("cord_levels",),
    ),
    GroupReference(
        "Vaneckova 2018",
        "Vaneckova M (2018). Is spinal cord volume an independent parameter in MS? Guest post of May 2018, "
        "multiple-sclerosis-research.blogspot.com.",
        "",
        ("brain_cord",),
    ),
    GroupReference(
        "Westfall 1993",
        "Westfall PH, Young SS (1993). Resampling-Based Multiple Testing (book).",
        "",
        ("covariance_network", "lesion_maps"),
    ),
    GroupReference(
        "Wilson 1927",
        "Wilson EB (1927). Probable inference, the law of succession, and statistical inference. Journal of the "
        "American Statistical Association 22(158):209-212.",
        "10.1080/01621459.1927.10502953",
        ("baseline_groups", "yearly_course", "disease_activity", "definitions_compared", "atrophy_rates"),
    ),
    GroupReference(
        "Winkler 2015",
        "Winkler AM, Webster MA, Vidaurre D, Nichols TE, Smith SM (2015). Multi-level block permutation. NeuroImage "
        "123:253-268.",
        "10.1016/j.neuroimage.2015.05.092",
        ("activity_atrophy",),
    ),
    GroupReference(
        "Xie 2023",
        "Xie Y, Zhang Y, Yao Y, Liu D, Zhu H, Liu C, Zhu W (2023). Structural covariance in subcortical regions in "
        "multiple sclerosis and neuromyelitis optica spectrum disorders: an MRI-based study with automated brain "
        "volumetry. Multiple Sclerosis and Related Disorders:104516.",
        "10.1016/j.msard.2023.104516",
        ("covariance_network",),
    ),
)
"""All of them, by key."""

_DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "default": "Müller 2023", "mueller2023": "Müller 2023", "mueller2025": "Müller 2025",
        "kappos2020": "Kappos 2020", "portaccio2025": "Portaccio 2025",
    }
)  # fmt: skip
"""Sources of the definitions of progression, by the names in a plan."""


def find_references(results: GroupResults, methods: Iterable[str] = ()) -> tuple[GroupReference, ...]:
    """Return what a report must cite, by key.

    Parameters
    ----------
    results
        What was done.
    methods
        The methods text; what it cites of the publications of the participant level is added, with the data standard.
    """
    used = {analysis.name for analysis in results.analyses}
    if any(family.is_corrected for family in find_families(results.analyses)):
        used.add(_CORRECTED)
    defined = _DEFINITIONS.get(str(results.settings.get("activity.definition", ""))) if used & {*_EVENTS} else None
    found = [one for one in GROUP_REFERENCES if used & {*one.analyses} or one.key == defined]
    found += [
        GroupReference(one.key, f"{one.authors} ({one.year}). {one.title}. {one.source}.", one.doi, ())
        for one in find_cited(methods)
    ]
    return tuple(sorted(found, key=lambda one: one.key.casefold()))
