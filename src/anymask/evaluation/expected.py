"""Published figures: what to expect of a protocol's metrics on a data set, and who measured it."""

from __future__ import annotations

from typing import NamedTuple

SAM = "SAM ViT-H"
RITM = "RITM HRNet18 IT-M"


class Published(NamedTuple):
    """A figure that others measured: the model or method, its value, and where it was published."""

    who: str
    value: float
    source: str


ALIASES = {
    "bsds500_test": "bsds500",
    "coco_mval_val": "coco_mval",
    "instances_val2017": "coco",
    "lvis_v1_val": "lvis_v1",
}
"""names of folders and files that hold a data set, or a part of one, under another name"""

_TABLE: dict[tuple[str, str], list[tuple[str, str, dict[str, float]]]] = {
    ("interactive", "grabcut"): [(RITM, "Sofiiuk et al. 2021", {"NoC@85": 1.42, "NoC@90": 1.54})],
    ("interactive", "berkeley"): [(RITM, "Sofiiuk et al. 2021", {"NoC@90": 2.26})],
    ("interactive", "coco_mval"): [(RITM, "Sofiiuk et al. 2021, all 800 masks", {"NoC@90": 2.98})],
    ("edges", "bsds500"): [
        (SAM, "Kirillov et al. 2023, table 3", {"ODS": 0.768, "OIS": 0.786, "AP": 0.794, "R50": 0.928}),
        ("HED", "Kirillov et al. 2023, table 3", {"ODS": 0.788, "OIS": 0.808, "AP": 0.840, "R50": 0.923}),
    ],
    ("proposals", "lvis_v1"): [
        (
            SAM,
            "Kirillov et al. 2023, table 4",
            {
                "AR@1000": 0.593,
                "AR@1000 small": 0.455,
                "AR@1000 medium": 0.816,
                "AR@1000 large": 0.869,
                "AR@1000 frequent": 0.591,
                "AR@1000 common": 0.639,
                "AR@1000 rare": 0.658,
            },
        ),
        (
            "ViTDet-H",
            "Kirillov et al. 2023, table 4",
            {
                "AR@1000": 0.630,
                "AR@1000 small": 0.517,
                "AR@1000 medium": 0.808,
                "AR@1000 large": 0.870,
                "AR@1000 frequent": 0.631,
                "AR@1000 common": 0.633,
                "AR@1000 rare": 0.583,
            },
        ),
    ],
    ("detections", "coco"): [
        (SAM, "Kirillov et al. 2023, table 5", {"AP": 0.465, "APs": 0.308, "APm": 0.510, "APl": 0.617}),
        ("ViTDet-H", "Kirillov et al. 2023, table 5", {"AP": 0.510, "APs": 0.320, "APm": 0.543, "APl": 0.689}),
    ],
    ("detections", "lvis_v1"): [
        (SAM, "Kirillov et al. 2023, table 5", {"AP": 0.447, "APs": 0.325, "APm": 0.576, "APl": 0.655}),
        ("ViTDet-H", "Kirillov et al. 2023, table 5", {"AP": 0.466, "APs": 0.350, "APm": 0.580, "APl": 0.663}),
    ],
}
"""by protocol and data set: who, the source, and metric by metric what they got"""


def expected(protocol: str, data: str, metric: str) -> list[Published]:
    """What was published for a metric on a data set, by its name or that of its folder; often nothing."""
    data = ALIASES.get(data.lower(), data.lower())
    rows = _TABLE.get((protocol, data), [])
    return [Published(who, figures[metric], source) for who, source, figures in rows if metric in figures]
