# SPDX-License-Identifier: Apache-2.0
"""The publications behind the methods, as data: a key, how to print it, and where to find it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """One publication.

    Attributes
    ----------
    key
        First author and year, as the methods text cites it: ``Avants 2008``.
    authors, year, title, source
        How it is printed.
    doi
        Digital object identifier without the resolver's address; empty where the work has none.
    role
        What it stands for in this program, in a few words.
    """

    key: str
    authors: str
    year: int
    title: str
    source: str
    doi: str
    role: str

    @property
    def url(self) -> str:
        """Address of the publication, or an empty text."""
        return f"https://doi.org/{self.doi}" if self.doi else ""


REFERENCES: tuple[Reference, ...] = (
    Reference(
        "Abraham 2014",
        "Abraham A, Pedregosa F, Eickenberg M, Gervais P, Mueller A, Kossaifi J, and others",
        2014,
        "Machine learning for neuroimaging with scikit-learn",
        "Frontiers in Neuroinformatics 8:14",
        "10.3389/fninf.2014.00014",
        "source of the packaged MNI152 maps (nilearn)",
    ),
    Reference(
        "Ashburner 2005",
        "Ashburner J, Friston KJ",
        2005,
        "Unified segmentation",
        "NeuroImage 26(3):839-851",
        "10.1016/j.neuroimage.2005.02.018",
        "segmentation and bias correction in one model",
    ),
    Reference(
        "Avants 2008",
        "Avants BB, Epstein CL, Grossman M, Gee JC",
        2008,
        "Symmetric diffeomorphic image registration with cross-correlation: evaluating automated labeling of elderly "
        "and neurodegenerative brain",
        "Medical Image Analysis 12(1):26-41",
        "10.1016/j.media.2007.06.004",
        "nonlinear registration (SyN)",
    ),
    Reference(
        "Avants 2011",
        "Avants BB, Tustison NJ, Song G, Cook PA, Klein A, Gee JC",
        2011,
        "A reproducible evaluation of ANTs similarity metric performance in brain image registration",
        "NeuroImage 54(3):2033-2044",
        "10.1016/j.neuroimage.2010.09.025",
        "registration software (ANTs)",
    ),
    Reference(
        "Battaglini 2012",
        "Battaglini M, Jenkinson M, De Stefano N",
        2012,
        "Evaluating and reducing the impact of white matter lesions on brain volume measurements",
        "Human Brain Mapping 33(9):2062-2071",
        "10.1002/hbm.21344",
        "lesions filled before volumes are measured",
    ),
    Reference(
        "Billot 2023",
        "Billot B, Greve DN, Puonti O, Thielscher A, Van Leemput K, Fischl B, Dalca AV, Iglesias JE",
        2023,
        "SynthSeg: segmentation of brain MRI scans of any contrast and resolution without retraining",
        "Medical Image Analysis 86:102789",
        "10.1016/j.media.2023.102789",
        "label maps that the atlas was learned from",
    ),
    Reference(
        "Buckner 2004",
        "Buckner RL, Head D, Parker J, Fotenos AF, Marcus D, Morris JC, Snyder AZ",
        2004,
        "A unified approach for morphometric and functional data analysis in young, old, and demented adults using "
        "automated atlas-based head size normalization: reliability and validation against manual measurement of "
        "total intracranial volume",
        "NeuroImage 23(2):724-738",
        "10.1016/j.neuroimage.2004.06.018",
        "estimated intracranial volume",
    ),
    Reference(
        "Bédard 2022",
        "Bédard S, Cohen-Adad J",
        2022,
        "Automatic measure and normalization of spinal cord cross-sectional area using the pontomedullary junction",
        "Frontiers in Neuroimaging 1:1031253",
        "10.3389/fnimg.2022.1031253",
        "levels of the cord from the pontomedullary junction",
    ),
    Reference(
        "Chard 2010",
        "Chard DT, Jackson JS, Miller DH, Wheeler-Kingshott CAM",
        2010,
        "Reducing the impact of white matter lesions on automated measures of brain gray and white matter volumes",
        "Journal of Magnetic Resonance Imaging 32(1):223-228",
        "10.1002/jmri.22214",
        "lesions filled before volumes are measured",
    ),
    Reference(
        "Chen 2008",
        "Chen M, Lu W, Chen Q, Ruchala KJ, Olivera GH",
        2008,
        "A simple fixed-point approach to invert a deformation field",
        "Medical Physics 35(1):81-88",
        "10.1118/1.2816107",
        "inverse of the deformation",
    ),
    Reference(
        "Cohen-Adad 2021",
        "Cohen-Adad J, Alonso-Ortiz E, Abramovic M, Arneitz C, Atcheson N, Barlow L, and others",
        2021,
        "Open-access quantitative MRI data of the spinal cord and reproducibility across participants, sites and "
        "manufacturers",
        "Scientific Data 8:219",
        "10.1038/s41597-021-00941-8",
        "images of the cord of healthy adults",
    ),
    Reference(
        "Coronado 2021",
        "Coronado I, Gabr RE, Narayana PA",
        2021,
        "Deep learning segmentation of gadolinium-enhancing lesions in multiple sclerosis",
        "Multiple Sclerosis Journal 27(4):519-527",
        "10.1177/1352458520921364",
        "sizes of enhancing lesions",
    ),
    Reference(
        "De Leener 2017",
        "De Leener B, Lévy S, Dupont SM, Fonov VS, Stikov N, Collins DL, Callot V, Cohen-Adad J",
        2017,
        "SCT: Spinal Cord Toolbox, an open-source software for processing spinal cord MRI data",
        "NeuroImage 145:24-43",
        "10.1016/j.neuroimage.2016.10.009",
        "results of Spinal Cord Toolbox",
    ),
    Reference(
        "Dwyer 2018",
        "Dwyer MG, Bergsland N, Ramasamy DP, Jakimovski D, Weinstock-Guttman B, Zivadinov R",
        2018,
        "Atrophied brain lesion volume: a new imaging biomarker in multiple sclerosis",
        "Journal of Neuroimaging 28(5):490-495",
        "10.1111/jon.12527",
        "volume of lesions that became fluid",
    ),
    Reference(
        "Fischl 2002",
        "Fischl B, Salat DH, Busa E, Albert M, Dieterich M, Haselgrove C, and others",
        2002,
        "Whole brain segmentation: automated labeling of neuroanatomical structures in the human brain",
        "Neuron 33(3):341-355",
        "10.1016/S0896-6273(02)00569-X",
        "structure labels from a probabilistic atlas",
    ),
    Reference(
        "Fischl 2012",
        "Fischl B",
        2012,
        "FreeSurfer",
        "NeuroImage 62(2):774-781",
        "10.1016/j.neuroimage.2012.01.021",
        "names and numbers of the structures",
    ),
    Reference(
        "Fonov 2009",
        "Fonov VS, Evans AC, McKinstry RC, Almli CR, Collins DL",
        2009,
        "Unbiased nonlinear average age-appropriate brain templates from birth to adulthood",
        "NeuroImage 47(Suppl 1):S102",
        "10.1016/S1053-8119(09)70884-5",
        "MNI152 2009 template",
    ),
    Reference(
        "Fonov 2011",
        "Fonov V, Evans AC, Botteron K, Almli CR, McKinstry RC, Collins DL",
        2011,
        "Unbiased average age-appropriate atlases for pediatric studies",
        "NeuroImage 54(1):313-327",
        "10.1016/j.neuroimage.2010.07.033",
        "MNI152 2009 template",
    ),
    Reference(
        "Freeborough 1997",
        "Freeborough PA, Fox NC",
        1997,
        "The boundary shift integral: an accurate and robust measure of cerebral volume changes from registered "
        "repeat MRI",
        "IEEE Transactions on Medical Imaging 16(5):623-629",
        "10.1109/42.640753",
        "change from the movement of an edge",
    ),
    Reference(
        "Ganiler 2014",
        "Ganiler O, Oliver A, Diez Y, Freixenet J, Vilanova JC, Beltran B, and others",
        2014,
        "A subtraction pipeline for automatic detection of new appearing multiple sclerosis lesions in longitudinal "
        "studies",
        "Neuroradiology 56(5):363-374",
        "10.1007/s00234-014-1343-1",
        "new lesions from the difference of two images",
    ),
    Reference(
        "Gorgolewski 2016",
        "Gorgolewski KJ, Auer T, Calhoun VD, Craddock RC, Das S, Duff EP, and others",
        2016,
        "The brain imaging data structure, a format for organizing and describing outputs of neuroimaging experiments",
        "Scientific Data 3:160044",
        "10.1038/sdata.2016.44",
        "layout of input and output",
    ),
    Reference(
        "Gorgolewski 2017",
        "Gorgolewski KJ, Alfaro-Almagro F, Auer T, Bellec P, Capotă M, Chakravarty MM, and others",
        2017,
        "BIDS apps: improving ease of use, accessibility, and reproducibility of neuroimaging data analysis methods",
        "PLOS Computational Biology 13(3):e1005209",
        "10.1371/journal.pcbi.1005209",
        "how the program is run",
    ),
    Reference(
        "Jain 2015",
        "Jain S, Sima DM, Ribbens A, Cambron M, Maertens A, Van Hecke W, and others",
        2015,
        "Automatic segmentation and volumetry of multiple sclerosis brain lesions from MR images",
        "NeuroImage: Clinical 8:367-375",
        "10.1016/j.nicl.2015.05.003",
        "lesions as outliers on T1w and FLAIR",
    ),
    Reference(
        "Leung 2010",
        "Leung KK, Clarkson MJ, Bartlett JW, Clegg S, Jack CR, Weiner MW, Fox NC, Ourselin S",
        2010,
        "Robust atrophy rate measurement in Alzheimer's disease using multi-site serial MRI: tissue-specific "
        "intensity normalization and parameter selection",
        "NeuroImage 50(2):516-523",
        "10.1016/j.neuroimage.2009.12.059",
        "brightness window of that method",
    ),
    Reference(
        "Lewis 2004",
        "Lewis EB, Fox NC",
        2004,
        "Correction of differential intensity inhomogeneity in longitudinal MR images",
        "NeuroImage 23(1):75-83",
        "10.1016/j.neuroimage.2004.04.030",
        "sessions matched in brightness",
    ),
    Reference(
        "Mattes 2003",
        "Mattes D, Haynor DR, Vesselle H, Lewellen TK, Eubank W",
        2003,
        "PET-CT image registration in the chest using free-form deformations",
        "IEEE Transactions on Medical Imaging 22(1):120-128",
        "10.1109/TMI.2003.809072",
        "alignment of unlike contrasts by mutual information",
    ),
    Reference(
        "Puonti 2016",
        "Puonti O, Iglesias JE, Van Leemput K",
        2016,
        "Fast and sequence-adaptive whole-brain segmentation using parametric Bayesian modeling",
        "NeuroImage 143:235-249",
        "10.1016/j.neuroimage.2016.09.011",
        "Bayesian whole-brain segmentation (SAMSEG)",
    ),
    Reference(
        "Reuter 2010",
        "Reuter M, Rosas HD, Fischl B",
        2010,
        "Highly accurate inverse consistent registration: a robust approach",
        "NeuroImage 53(4):1181-1196",
        "10.1016/j.neuroimage.2010.07.020",
        "robust alignment without a reference session",
    ),
    Reference(
        "Reuter 2012",
        "Reuter M, Schmansky NJ, Rosas HD, Fischl B",
        2012,
        "Within-subject template estimation for unbiased longitudinal image analysis",
        "NeuroImage 61(4):1402-1418",
        "10.1016/j.neuroimage.2012.02.084",
        "all sessions of a person treated alike",
    ),
    Reference(
        "Thompson 2018",
        "Thompson AJ, Banwell BL, Barkhof F, Carroll WM, Coetzee T, Comi G, and others",
        2018,
        "Diagnosis of multiple sclerosis: 2017 revisions of the McDonald criteria",
        "The Lancet Neurology 17(2):162-173",
        "10.1016/S1474-4422(17)30470-2",
        "regions of the brain and dissemination in space",
    ),
    Reference(
        "Timp 2004",
        "Timp S, Karssemeijer N",
        2004,
        "A new 2D segmentation method based on dynamic programming applied to computer aided detection in mammography",
        "Medical Physics 31(5):958-971",
        "10.1118/1.1688039",
        "closed outline by dynamic programming",
    ),
    Reference(
        "Tustison 2010",
        "Tustison NJ, Avants BB, Cook PA, Zheng Y, Egan A, Yushkevich PA, Gee JC",
        2010,
        "N4ITK: improved N3 bias correction",
        "IEEE Transactions on Medical Imaging 29(6):1310-1320",
        "10.1109/TMI.2010.2046908",
        "bias correction (N4)",
    ),
    Reference(
        "Valošek 2024",
        "Valošek J, Bédard S, Keřkovský M, Rohan T, Cohen-Adad J",
        2024,
        "A database of the healthy human spinal cord morphometry in the PAM50 template space",
        "Imaging Neuroscience 2:1-15",
        "10.1162/imag_a_00075",
        "tables of the cord of healthy adults",
    ),
    Reference(
        "Van Leemput 1999",
        "Van Leemput K, Maes F, Vandermeulen D, Suetens P",
        1999,
        "Automated model-based bias field correction of MR images of the brain",
        "IEEE Transactions on Medical Imaging 18(10):885-896",
        "10.1109/42.811268",
        "bias correction inside the tissue model",
    ),
    Reference(
        "Van Leemput 2001",
        "Van Leemput K, Maes F, Vandermeulen D, Colchester A, Suetens P",
        2001,
        "Automated segmentation of multiple sclerosis lesions by model outlier detection",
        "IEEE Transactions on Medical Imaging 20(8):677-688",
        "10.1109/42.938237",
        "lesions as outliers of a tissue model",
    ),
    Reference(
        "Van Leemput 2003",
        "Van Leemput K, Maes F, Vandermeulen D, Suetens P",
        2003,
        "A unifying framework for partial volume segmentation of brain MR images",
        "IEEE Transactions on Medical Imaging 22(1):105-119",
        "10.1109/TMI.2002.806587",
        "voxels that two tissues share",
    ),
    Reference(
        "Vercauteren 2009",
        "Vercauteren T, Pennec X, Perchant A, Ayache N",
        2009,
        "Diffeomorphic demons: efficient non-parametric image registration",
        "NeuroImage 45(1 Suppl):S61-S72",
        "10.1016/j.neuroimage.2008.10.040",
        "diffeomorphic deformation of the atlas",
    ),
)
"""All references, by key."""
