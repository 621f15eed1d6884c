"""Checkpoints that experiments are published with: where each comes from, and how its file names the weights. Data.

A network of these names is one of torchvision's with weights of somebody's own program. Its layers keep torchvision's
names (`layer4.2.conv2`); a layout says which name in the file is which name there. The weights themselves are got by
the user, under their own licences, and given as a file.
"""

from dataclasses import dataclass, field
from itertools import accumulate

from vfs_panel.images.preprocessing import Preprocessing

Rules = tuple[tuple[str, str | None], ...]
"""Pattern of a whole name in the file -> the network's name for it, None for what no feature comes from; first wins."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a checkpoint can be had.

    Attributes
    ----------
    url : of the file, or of the page or archive that has it, as `note` says.
    licence : of the weights, as their authors state it; "" where they state none.
    md5 : the first digits of the file's MD5, where they are published. Nobody has published a sha256.
    note : what else to know.
    """

    url: str
    licence: str = ""
    md5: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """How one program names the weights in its files.

    Attributes
    ----------
    program : who writes such files, for messages.
    example : a name as it stands in such a file.
    inside : the keys under which the weights lie, from the outside in; a file that lacks them holds the weights itself.
    rules : the names.
    architecture : of torchvision.
    classes : outputs of its classifier; None if the file has none for it.
    preprocessing : what the weights were trained with.
    """

    program: str
    example: str
    inside: tuple[str, ...]
    rules: Rules
    architecture: str = "resnet50"
    classes: int | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A network that is known by its checkpoint.

    Attributes
    ----------
    title : what it was trained on, and how.
    layouts : of files that hold it, the published one first.
    sources : where it can be had, the best first.
    """

    title: str
    layouts: tuple[Layout, ...]
    sources: tuple[Source, ...]


_BACKBONE = r"((?:conv1|bn1|layer[1-4])\..+)"
_HEAD = r"fc\.(weight|bias)"
_PLAIN = Layout("torchvision's names, without fc", "layer1.0.conv1.weight", (), ((_BACKBONE, r"\1"),))

# main_lincls.py of facebookresearch/moco keeps encoder_q up to its head of two layers; encoder_k and the queue go.
_MOCO = Layout(
    program="facebookresearch/moco",
    example="module.encoder_q.conv1.weight",
    inside=("state_dict",),
    rules=(
        (r"module\.encoder_q\.fc\..+", None),
        (r"module\.encoder_q\.(.+)", r"\1"),
        (r"module\.(encoder_k\..+|queue|queue_ptr)", None),
    ),
)

# Google's weights were trained on values in 0..1, without mean and standard deviation; its converter's eval.py says so.
_SIMCLR_GOOGLE = Layout(
    program="tonylins/simclr-converter, from google-research/simclr ResNet50 (1x)",
    example="layer1.0.conv1.weight, fc.weight",
    inside=("state_dict",),
    rules=((_BACKBONE, r"\1"), (_HEAD, r"fc.\1")),
    classes=1000,
    preprocessing=Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
)
_SIMCLR_VISSL = Layout(
    program="facebookresearch/vissl",
    example="_feature_blocks.conv1.weight",
    inside=("classy_state_dict", "base_model", "model", "trunk"),
    rules=((r"_feature_blocks\.(.+)", r"\1"),),
)
_SIMCLR_BOLTS = Layout(
    program="lightning-bolts",
    example="encoder.conv1.weight",
    inside=("state_dict",),
    rules=(
        (r"encoder\.fc\..+", None),
        (r"encoder\.(.+)", r"\1"),
        (r"(projection|non_linear_evaluator|online_evaluator)\..+", None),
    ),
)

# ERM keeps the network itself (model.fc), the other algorithms a featurizer and a classifier (model.0, model.1), which
# stand in the file a second time under names of their own. "module." is DataParallel's.
_WILDS = Layout(
    program="p-lambda/wilds",
    example="model.conv1.weight",
    inside=("algorithm",),
    rules=(
        (r"(?:module\.)?(?:featurizer|classifier)\..+", None),
        (rf"(?:module\.)?(?:model\.)?(?:module\.)?(?:0\.)?(?:module\.)?{_BACKBONE}", r"\1"),
        (r"(?:module\.)?(?:model\.)?(?:module\.)?(?:fc|1)\.(?:module\.)?(weight|bias)", r"fc.\1"),
    ),
    classes=182,
    preprocessing=Preprocessing(resize_px=(448, 448), crop_px=(448, 448)),
)

_VGG16 = (2, 2, 3, 3, 3)  # convolutions between poolings


def _vgg16(*, norm: bool) -> Layout:
    """Return the layout of EditingClassifiers' VGG16: numbered layers of a convolution and what follows it.

    Its file of the unedited one has the names of the `robustness` package's wrappers round torchvision's.
    """
    step = 3 if norm else 2  # convolution, normalisation, rectifier
    before = [0, *accumulate(_VGG16)]
    at = [conv * step + pools for pools, first in enumerate(before[:-1]) for conv in range(first, before[pools + 1])]
    convolutions = ((rf"layer{n}\.conv\.(weight|bias)", rf"features.{place}.\1") for n, place in enumerate(at))
    norms = ((rf"layer{n}\.bn\.(.+)", rf"features.{place + 1}.\1") for n, place in enumerate(at) if norm)
    return Layout(
        program="MadryLab/EditingClassifiers",
        example="layer0.conv.weight",
        inside=("model",),
        rules=(
            *convolutions,
            *norms,
            (r"(?:module\.model\.model\.|model\.)?((?:features|classifier)\.\d+\..+)", r"\1"),
            (r"module\.(?!model\.model\.).+", None),
        ),
        architecture="vgg16_bn" if norm else "vgg16",
        classes=1000,
    )


_EDITING = "https://github.com/MadryLab/EditingClassifiers"
_MOCO_FILES = "https://dl.fbaipublicfiles.com/moco/moco_checkpoints"
_PASS_FILES = "https://www.robots.ox.ac.uk/~vgg/research/pass/pretrained_models"

CHECKPOINTS = {
    "moco-v2": Checkpoint(
        "ResNet-50, MoCo v2 on ImageNet without labels",
        (_MOCO, _PLAIN),
        (
            Source(f"{_MOCO_FILES}/moco_v2_800ep/moco_v2_800ep_pretrain.pth.tar", "CC BY-NC 4.0", "a04e12f8"),
            Source(f"{_MOCO_FILES}/moco_v2_200ep/moco_v2_200ep_pretrain.pth.tar", "CC BY-NC 4.0", "59fd9945"),
        ),
    ),
    "moco-v2-pass": Checkpoint(
        "ResNet-50, MoCo v2 on PASS, pictures without people",
        (_MOCO, _PLAIN),
        (Source(f"{_PASS_FILES}/moco_v2_800ep.pth.tar"), Source(f"{_PASS_FILES}/moco_v2_200ep.pth.tar")),
    ),
    "simclr": Checkpoint(
        "ResNet-50, SimCLR on ImageNet without labels",
        (_SIMCLR_GOOGLE, _SIMCLR_VISSL, _SIMCLR_BOLTS, _PLAIN),
        (
            Source(
                "https://github.com/google-research/simclr",
                "Apache 2.0",
                note="SimCLRv1 ResNet50 (1x), brought to PyTorch by https://github.com/tonylins/simclr-converter",
            ),
            Source(
                "https://dl.fbaipublicfiles.com/vissl/model_zoo/simclr_rn50_800ep_simclr_8node_resnet_16_07_20.7e8feed1"
                "/model_final_checkpoint_phase799.torch"
            ),
            Source(
                "https://pl-bolts-weights.s3.us-east-2.amazonaws.com/simclr/bolts_simclr_imagenet/simclr_imagenet.ckpt"
            ),
        ),
    ),
    "iwildcam": Checkpoint(
        "ResNet-50 with 182 classes, WILDS on iWildCam 2020",
        (_WILDS,),
        (
            Source(
                "https://worksheets.codalab.org/worksheets/0x52cea64d1d3f4fa89de326b4e31aa50a",
                note="best_model.pth of a bundle iwildcam_erm_seed0",
            ),
        ),
    ),
    "vgg16-unedited": Checkpoint(
        "VGG16 with batch normalisation, before an edit",
        (_vgg16(norm=True), _vgg16(norm=False)),
        (
            Source(
                f"{_EDITING}/releases/download/v1/checkpoints.tar.gz",
                note="checkpoints/imagenet_vgg.pt.best in the archive",
            ),
        ),
    ),
    "vgg16-edited": Checkpoint(
        "VGG16 with batch normalisation, after an edit (Santurkar et al. 2021)",
        (_vgg16(norm=True), _vgg16(norm=False)),
        (
            Source(
                f"{_EDITING}/blob/master/vehicles_on_snow.ipynb",
                note="run it, then torch.save(context_model.state_dict(), FILE)",
            ),
        ),
    ),
}
