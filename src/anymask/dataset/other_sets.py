"""The data sets of the paper's other experiments, and of interactive segmentation, and where their files lie."""

from __future__ import annotations

from .data_set import DataSet, Part

# The columns of Table 7 stand in two lines, which the formatter would pull apart.
# fmt: off
OTHER_SETS = [
    DataSet(
        "coco", "COCO 2017", "scenes", "objects of 80 classes",
        "instance", "validation", 5000, 36335,
        home="https://cocodataset.org/",
        format="coco",
        parts=(Part("annotations/instances_val2017.json", "val2017"),),
        layout="val2017.zip and annotations_trainval2017.zip; val2017/*.jpg and annotations/instances_val2017.json",
        licence="CC BY 4.0 for the annotations",
    ),
    DataSet(
        "lvis_v1", "LVIS v1", "scenes", "objects of 1203 classes, in images of COCO",
        "instance", "validation", 19809, 244707,
        home="https://www.lvisdataset.org/",
        format="lvis",
        parts=(Part("annotations/lvis_v1_val.json", "."),),
        layout="lvis_v1_val.json and COCO's images of 2017; annotations/lvis_v1_val.json, val2017/*.jpg and "
        "train2017/*.jpg",
        licence="CC BY 4.0 for the annotations",
    ),
    DataSet(
        "bsds500", "BSDS500", "photographs", "the whole image in segments, by several people each",
        "segments and boundaries", "test", 200, 23192,
        home="https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/resources.html",
        format="bsds",
        parts=(Part("BSR/BSDS500/data/groundTruth/test", "BSR/BSDS500/data/images/test"),),
        layout="BSR_bsds500.tgz; BSR/BSDS500/data/images/test/*.jpg and BSR/BSDS500/data/groundTruth/test/*.mat",
        licence="non-commercial research and education",
    ),
    DataSet(
        "grabcut", "GrabCut", "photographs", "one object each, with a band along its edge left open",
        "instance", "all", 50, 50,
        home="https://github.com/SamsungLabs/ritm_interactive_segmentation",
        format="instance_png",
        parts=(Part("boundary_GT", "data_GT"),),
        options={"mask_ending": ".bmp", "uncertain": (128,)},
        layout="GrabCut.zip, without its outer folder; data_GT/* and boundary_GT/*.bmp",
    ),
    DataSet(
        "berkeley", "Berkeley", "photographs", "one object each, on images of BSDS300",
        "instance", "all", 100, 100,
        home="https://github.com/SamsungLabs/ritm_interactive_segmentation",
        format="instance_png",
        parts=(Part("masks", "images"),),
        options={"uncertain": (128,)},
        layout="Berkeley.zip, without its outer folder; images/*.jpg and masks/*.png",
        licence="non-commercial research and education",
    ),
    DataSet(
        "coco_mval", "COCO_MVal", "scenes", "one object each, ten of every class of COCO",
        "instance", "all", 800, 800,
        home="https://github.com/SamsungLabs/ritm_interactive_segmentation",
        format="instance_png",
        parts=(Part("gt", "img"),),
        layout="COCO_MVal.zip, without its outer folder; img/*.jpg and gt/*.png",
        licence="CC BY 4.0 for the annotations",
    ),
]
# fmt: on
