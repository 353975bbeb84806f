"""The 23 data sets on which the paper segments from points: the rows of its Table 7, and where their files lie."""

from __future__ import annotations

from .data_set import DataSet, Part

ARCHINTERIORS = "Evermotion archinteriors volumes 1 to 55 but 20, 25, 40 and 49"
VOC_IN_DRAM = {
    3: "bird", 4: "boat", 5: "bottle", 8: "cat", 9: "chair", 10: "cow",
    12: "dog", 13: "horse", 15: "person", 16: "potted plant", 17: "sheep",
}  # fmt: skip
EGOHOS_CLASSES = {
    1: "left hand",
    2: "right hand",
    3: "object in the left hand",
    4: "object in the right hand",
    5: "object in both hands",
    6: "object touched with what is in the left hand",
    7: "object touched with what is in the right hand",
    8: "object touched with what is in both hands",
}

# The columns of Table 7 stand in two lines, which the formatter would pull apart.
# fmt: off
ZERO_SHOT_SETS = [
    DataSet(
        "ade20k", "ADE20K", "scenes", "objects and parts, in images of SUN and Places",
        "instance", "validation", 302, 10128,
        home="https://groups.csail.mit.edu/vision/datasets/ADE20K/",
        format="object_png",
        parts=(Part("ADE20K_2021_17_01/images/ADE/validation"),),
        options={"mask_pattern": "{folder}/{stem}/instance_*.png"},
        layout="the full data set of 2021 (on request); ADE20K_2021_17_01/images/ADE/validation/**/NAME.jpg with "
        "the masks in NAME/instance_*.png beside it",
        licence="own terms, non-commercial research",
        sampled=True,
    ),
    DataSet(
        "bbbc038v1", "BBBC038v1", "microscopy", "nuclei of cells in a variety of settings",
        "instance", "train", 227, 10506,
        home="https://bbbc.broadinstitute.org/BBBC038",
        format="object_png",
        parts=(Part("stage1_train"),),
        options={
            "image_pattern": "*/images/*.png",
            "mask_pattern": "{folder}/../masks/*.png",
            "category": "nucleus",
        },
        layout="stage1_train.zip; stage1_train/ID/images/ID.png and stage1_train/ID/masks/*.png",
        licence="CC0",
        sampled=True,
    ),
    DataSet(
        "cityscapes", "Cityscapes", "driving", "street scenes from a car",
        "panoptic", "validation", 293, 9973,
        home="https://www.cityscapes-dataset.com/",
        format="coco_panoptic",
        parts=(Part("gtFine/cityscapes_panoptic_val.json", "leftImg8bit/val"),),
        options={"nested": True, "image_ending": "_leftImg8bit.png"},
        layout="gtFine_trainvaltest.zip and leftImg8bit_trainvaltest.zip, then csCreatePanopticImgs of "
        "cityscapesscripts; leftImg8bit/val/CITY/*_leftImg8bit.png, gtFine/cityscapes_panoptic_val.json and "
        "gtFine/cityscapes_panoptic_val/*.png",
        licence="own terms, non-commercial",
        sampled=True,
    ),
    DataSet(
        "doors", "DOORS", "boulders", "single boulders on the surface of a sphere, rendered",
        "instance", "DS1", 10000, 10000,
        home="https://zenodo.org/record/7107409",
        format="instance_png",
        parts=(Part("Segmentation/DS1/DS/mask", "Segmentation/DS1/DS/img"),),
        options={"names": {255: "boulder"}},
        layout="the Segmentation part; Segmentation/DS1/DS/img/*.png and Segmentation/DS1/DS/mask/*.png",
        sampled=True,
    ),
    DataSet(
        "dram", "DRAM", "paintings", "art of many movements, labelled with classes of PASCAL VOC",
        "semantic", "test", 718, 1179,
        home="https://faculty.runi.ac.il/arik/site/artseg/Dram-Dataset.html",
        format="semantic_png",
        parts=(Part("DRAM_processed/labels", "DRAM_processed/test"),),
        options={"components": False, "names": VOC_IN_DRAM},
        layout="DRAM_processed.zip, and the .rar in it; DRAM_processed/test/**/NAME.jpg and "
        "DRAM_processed/labels/**/NAME.png",
        note="one mask for each class in an image, as 1.6 masks an image suggest",
    ),
    DataSet(
        "egohos", "EgoHOS", "egocentric", "hands and what they hold or touch",
        "instance", "train, of Ego4D and THU-READ only", 2940, 9961,
        home="https://github.com/owenzlz/EgoHOS",
        format="instance_png",
        parts=(Part("train/label", "train/image"),),
        options={"only": ("ego4d_*", "thu_*"), "names": EGOHOS_CLASSES},
        layout="download_datasets.sh of the repository; train/image/*.jpg and train/label/*.png",
        sampled=True,
    ),
    DataSet(
        "gtea", "GTEA", "egocentric", "hands in daily activities of four people",
        "instance", "train, task of segmenting hands", 652, 1208,
        home="https://cbs.ic.gatech.edu/fpv/",
        format="semantic_png",
        parts=(Part("hand2K_dataset/GTEA/Masks", "hand2K_dataset/GTEA/Images"),),
        options={"ignored": (0,)},
        layout="hand2K_dataset.zip; hand2K_dataset/GTEA/Images/*.jpg and hand2K_dataset/GTEA/Masks/*.png",
        note="that the paper took GTEA of the Hand 2K set, which has 663 images, and each connected part of a value",
    ),
    DataSet(
        "hypersim", "Hypersim", "simulation", "indoor scenes, rendered like photographs",
        "instance", ARCHINTERIORS, 338, 9445,
        home="https://github.com/apple/ml-hypersim",
        format="instance_png",
        parts=(Part("."),),
        options={
            "mask_ending": ".semantic_instance.png",
            "image_ending": ".tonemap.jpg",
            "swap": ("_geometry_preview", "_final_preview"),
        },
        layout="the scenes with dataset_download_images.py of the repository; "
        "ai_*/images/scene_cam_*_final_preview/frame.*.tonemap.jpg and "
        "ai_*/images/scene_cam_*_geometry_preview/frame.*.semantic_instance.png",
        licence="CC BY-SA 3.0",
        sampled=True,
        note="objects are told apart by the colours of the previews",
    ),
    DataSet(
        "ibd", "InstanceBuilding 2D", "drones", "roofs in images of high resolution",
        "instance", "train, 2D annotations", 467, 11953,
        home="https://californiachen.github.io/datasets/InstanceBuilding",
        format="coco",
        parts=(Part("train.json", "train"),),
        layout="the 2D annotations; train/* for the images, and train.json for their roofs as COCO instances",
        licence="own terms, non-commercial",
        note="how the annotations come is not published; open any other format with it, or convert it to COCO's",
    ),
    DataSet(
        "ishape", "iShape", "irregular shapes", "antennas, branches, fences, hangers, logs and wires",
        "instance", "validation", 754, 9742,
        home="https://ishape.github.io/",
        format="coco",
        parts=tuple(
            Part(f"{shape}/val/coco_format-mask_encoding=rle-instances_2017.json", f"{shape}/val/image", shape)
            for shape in ("antenna", "branch", "fence", "hanger", "log", "wire")
        ),
        layout="all six sub-sets; SHAPE/val/image/* and SHAPE/val/coco_format-mask_encoding=rle-instances_2017.json",
        licence="CC0",
        sampled=True,
    ),
    DataSet(
        "lvis", "LVIS v0.5", "scenes", "objects of over 1000 classes, in images of COCO",
        "instance", "validation (v0.5)", 945, 9642,
        home="https://www.lvisdataset.org/",
        format="lvis",
        parts=(Part("annotations/lvis_v0.5_val.json", "."),),
        layout="lvis_v0.5_val.json and COCO's images of 2017; annotations/lvis_v0.5_val.json and val2017/*.jpg",
        licence="CC BY 4.0 for the annotations",
        sampled=True,
    ),
    DataSet(
        "ndd20", "NDD20", "underwater", "dolphins of two species, from above and below the water",
        "instance", "all", 4402, 6100,
        home="https://doi.org/10.25405/data.ncl.c.4982342",
        format="via",
        parts=(Part("ABOVE_LABELS.json", "ABOVE", "above"), Part("BELOW_LABELS.json", "BELOW", "below")),
        options={"category": "species"},
        layout="NDD20.zip; ABOVE/*.jpg, BELOW/*.jpg, ABOVE_LABELS.json and BELOW_LABELS.json",
    ),
    DataSet(
        "ndispark", "NDISPark", "parking lots", "vehicles by day and by night, in any weather",
        "instance", "train", 111, 2577,
        home="https://zenodo.org/record/6560823",
        format="coco",
        parts=(Part("train/train_coco_annotations.json", "train/imgs"),),
        layout="ndis_park.zip, without its outer folder; train/imgs/*.jpg and train/train_coco_annotations.json",
    ),
    DataSet(
        "ovis", "OVIS", "occlusions", "objects that hide one another, in videos",
        "instance", "train", 2044, 10011,
        home="http://songbai.site/ovis/",
        format="youtube_vis",
        parts=(Part("annotations_train.json", "train"),),
        layout="train.zip and annotations_train.json; train/VIDEO/*.jpg and annotations_train.json",
        licence="CC BY-NC-SA 4.0",
        sampled=True,
    ),
    DataSet(
        "pidray", "PIDRay", "X-ray", "prohibited items in baggage",
        "instance", "test (hard)", 3733, 8892,
        home="https://github.com/bywang2018/security-dataset",
        format="coco",
        parts=(Part("annotations/xray_test_hard.json", "hard"),),
        layout="pidray.tar.gz, without its outer folder; hard/*.png and annotations/xray_test_hard.json",
    ),
    DataSet(
        "plittersdorf", "Plittersdorf", "stereo images", "wild animals before a stereo camera trap",
        "instance", "train, validation and test", 187, 546,
        home="https://timm.haucke.xyz/datasets/plittersdorf",
        format="coco",
        parts=tuple(Part(f"{split}.json", "images", split) for split in ("train", "val", "test")),
        layout="plittersdorf_instance_segmentation_coco, without its outer folder; images/*.jpg, train.json, "
        "val.json and test.json",
    ),
    DataSet(
        "ppdls", "PPDLS", "plants", "leaves of tobacco and thale cress",
        "instance", "all", 182, 2347,
        home="https://www.plant-phenotyping.org/datasets-home",
        format="instance_png",
        parts=(Part("Plant/Ara2012", name="Ara2012"), Part("Plant/Tobacco", name="Tobacco")),
        options={"mask_ending": "_label.png", "image_ending": "_rgb.png"},
        layout="Plant_Phenotyping_Datasets.zip, without its outer folder; Plant/Ara2012/*_rgb.png and "
        "Plant/Ara2012/*_label.png, Plant/Tobacco/*_rgb.png and Plant/Tobacco/*_label.png",
        note="which of the sub-sets: Ara2012 and Tobacco have 120 and 62 images, 182 together",
    ),
    DataSet(
        "streets", "STREETS", "traffic cameras", "vehicles",
        "instance", "all", 819, 9854,
        home="https://databank.illinois.edu/datasets/IDB-3671567",
        format="via",
        parts=(Part("vehicleannotations/annotations/vehicle-annotations.json", "vehicleannotations/images"),),
        options={"category": "vehicle_type"},
        layout="vehicleannotations.zip; vehicleannotations/images/* and "
        "vehicleannotations/annotations/vehicle-annotations.json",
        sampled=True,
    ),
    DataSet(
        "timberseg", "TimberSeg 1.0", "logs", "logs in piles, as the operator of a machine sees them",
        "instance", "all", 220, 2487,
        home="https://data.mendeley.com/datasets/y5npsm3gkj",
        format="coco",
        parts=(Part("prescaled/coco_annotation.json", "prescaled"),),
        options={"nested": True},
        layout="the whole, without its outer folder; prescaled/images/* and prescaled/coco_annotation.json",
        note="that the paper took the smaller of the two sizes that the images come in",
    ),
    DataSet(
        "trashcan", "TrashCan", "underwater", "litter, seen by remotely operated vehicles",
        "instance", "train, instance task", 5936, 9540,
        home="https://conservancy.umn.edu/handle/11299/214865",
        format="coco",
        parts=(Part("instance_version/instances_train_trashcan.json", "instance_version/train"),),
        layout="dataset.zip, without its outer folder; instance_version/train/*.jpg and "
        "instance_version/instances_train_trashcan.json",
    ),
    DataSet(
        "visor", "VISOR", "egocentric", "hands and what they use, in the kitchens of EPIC-KITCHENS",
        "instance", "validation", 1864, 10141,
        home="https://epic-kitchens.github.io/VISOR/",
        format="visor",
        parts=(
            Part(
                "GroundTruth-SparseAnnotations/annotations/val",
                "GroundTruth-SparseAnnotations/rgb_frames/val",
            ),
        ),
        layout="the sparse annotations and frames, unpacked; GroundTruth-SparseAnnotations/annotations/val/*.json "
        "and GroundTruth-SparseAnnotations/rgb_frames/val/**/*.jpg",
        licence="CC BY-NC 4.0",
        sampled=True,
    ),
    DataSet(
        "woodscape", "WoodScape", "fisheye driving", "all that four cameras around a car see",
        "instance", "set 1", 107, 10266,
        home="https://woodscape.valeo.com/home",
        format="woodscape",
        parts=(Part("instance_annotations", "rgb_images"),),
        layout="rgb_images.zip and instance_annotations.zip; rgb_images/*.png and instance_annotations/**/*.json",
        licence="own terms, non-commercial",
        sampled=True,
        note="that the paper's set 1 is the training images, the only ones with published instances",
    ),
    DataSet(
        "zerowaste-f", "ZeroWaste-f", "recycling", "deformed waste on a conveyor belt",
        "instance", "train", 2947, 6155,
        home="http://ai.bu.edu/zerowaste/",
        format="coco",
        parts=(Part("splits_final_deblurred/train/labels.json", "splits_final_deblurred/train/data"),),
        layout="zerowaste-f-final.zip; splits_final_deblurred/train/data/*.PNG and "
        "splits_final_deblurred/train/labels.json",
    ),
]
# fmt: on
