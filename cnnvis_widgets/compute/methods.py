"""The table of attribution methods: a method is one function and one row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cnnvis_widgets.compute import cam, cam_by_runs, gradients, perturbation
from cnnvis_widgets.errors import MethodError, did_you_mean


@dataclass(frozen=True)
class Method:
    """One row of the table: what a dropdown, the command line and the docs show of a method."""

    name: str
    family: str
    formula: str
    paper: str
    costs: str
    function: Callable = field(repr=False)
    # "maps": a function of the layer's activations and gradients, which are remembered: answers at once.
    # "runs": a function of a `Case`, with runs of its own: its options are the function's keywords.
    needs: str = "maps"
    # "layer"; or "input": its pixels, whatever the layer; or "both": the pixels, with help of the layer.
    explains: str = "layer"
    signed: bool = False
    # Where a method takes the input's gradient of the picture itself and nothing else: the way back through ReLUs, a
    # name in `relu_rules` or "" for the true one. Then it is computed for several pictures at once.
    rule: str | None = None
    # What the map is known to follow: without "class" or "weights" it looks much the same for another class, or for
    # a network with random weights in its later layers, and says little about this decision. Eigen-CAM: with ever more
    # layers random its rank correlation is 0.81, 0.54 and 0.53 on MobileNetV2, SqueezeNet and GoogLeNet; Grad-CAM's
    # is 0.04, 0.12 and 0.12, guided backpropagation's 0.65, 0.79 and 0.81. (Eigen-CAM's is 0.13 on the bundled one.)
    depends_on: tuple[str, ...] = ("class", "weights")


_ONE_PASS = "one forward and one backward pass, for all layers together"
_ONE_OF_ITS_OWN = "one forward and one backward pass"

_CAM = (
    ("grad-cam", "ReLU(sum_k mean(g_k) A_k)", "Selvaraju et al. 2017, arXiv:1610.02391", cam.grad_cam),
    (
        "grad-cam++",
        "ReLU(sum_k sum(alpha_k * ReLU(g_k)) A_k), alpha_k = g_k^2 / (2 g_k^2 + g_k^3 sum(A_k))",
        "Chattopadhyay et al. 2018, arXiv:1710.11063",
        cam.grad_cam_plus_plus,
    ),
    (
        "xgrad-cam",
        "ReLU(sum_k sum(g_k * A_k) / sum(A_k) A_k)",
        "Fu et al. 2020, arXiv:2008.02312",
        cam.xgrad_cam,
    ),
    ("hires-cam", "ReLU(sum_k g_k * A_k)", "Draelos and Carin 2020, arXiv:2011.08891", cam.hires_cam),
    (
        "layer-cam",
        "ReLU(sum_k ReLU(g_k) * A_k)",
        "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
        cam.layer_cam,
    ),
    (
        "eigen-grad-cam",
        "ReLU(X v_1), X = A * g = U S V^T",
        "Gildenblat 2021, github.com/jacobgil/pytorch-grad-cam",
        cam.eigen_grad_cam,
    ),
    ("cam", "ReLU(sum_k w_k A_k)", "Zhou et al. 2016, arXiv:1512.04150", cam.cam),
)
_TABLE = (
    *(Method(name, "cam", formula, paper, _ONE_PASS, function) for name, formula, paper, function in _CAM),
    Method(
        "eigen-cam",
        "cam",
        "ReLU(A v_1), A = U S V^T",
        "Muhammad and Yeasin 2020, arXiv:2008.00299",
        _ONE_PASS,
        cam.eigen_cam,
        depends_on=(),
    ),
    Method(
        "smooth-grad-cam++",
        "cam",
        "Grad-CAM++ of mean g, g^2 and g^3 over noisy copies",
        "Omeiza et al. 2019, arXiv:1908.01224",
        "25 forward and backward passes",
        cam_by_runs.smooth_grad_cam_plus_plus,
        needs="runs",
    ),
    Method(
        "score-cam",
        "cam",
        "ReLU(sum_k (p(x seen through A_k) - p(nothing)) A_k)",
        "Wang et al. 2020, arXiv:1910.01279",
        "one forward pass for each channel",
        cam_by_runs.score_cam,
        needs="runs",
    ),
    Method(
        "faster-score-cam",
        "cam",
        "Score-CAM of the 10 channels that vary most",
        "tabayashi0117 2020, github.com/tabayashi0117/Score-CAM",
        "10 forward passes",
        cam_by_runs.faster_score_cam,
        needs="runs",
    ),
    Method(
        "ablation-cam",
        "cam",
        "ReLU(sum_k (S - S without A_k) A_k)",
        "Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360",
        "the layers after this one, once for each channel",
        cam_by_runs.ablation_cam,
        needs="runs",
    ),
    Method(
        "gradient",
        "gradient",
        "max_c |dS/dx_c|",
        "Simonyan et al. 2013, arXiv:1312.6034",
        _ONE_OF_ITS_OWN,
        gradients.gradient,
        needs="runs",
        rule="",
        explains="input",
    ),
    Method(
        "gradient-x-input",
        "gradient",
        "sum_c x_c dS/dx_c",
        "Shrikumar et al. 2016, arXiv:1605.01713",
        _ONE_OF_ITS_OWN,
        gradients.gradient_x_input,
        needs="runs",
        rule="",
        explains="input",
        signed=True,
    ),
    Method(
        "smoothgrad",
        "gradient",
        "max_c |mean_n dS(x + noise_n)/dx_c|",
        "Smilkov et al. 2017, arXiv:1706.03825",
        "50 forward and backward passes",
        gradients.smooth_grad,
        needs="runs",
        explains="input",
    ),
    Method(
        "vargrad",
        "gradient",
        "max_c Var_n dS(x + noise_n)/dx_c",
        "Adebayo et al. 2018, arXiv:1810.03307",
        "50 forward and backward passes",
        gradients.var_grad,
        needs="runs",
        explains="input",
    ),
    Method(
        "integrated-gradients",
        "gradient",
        "sum_c (x_c - x'_c) * mean of dS/dx_c on the way from x' to x",
        "Sundararajan et al. 2017, arXiv:1703.01365",
        "26 to 400 forward and backward passes, until complete to 1 %",
        gradients.integrated_gradients,
        needs="runs",
        explains="input",
        signed=True,
    ),
    Method(
        "guided-backpropagation",
        "gradient",
        "the gradient, each ReLU passing back only what is positive there and then",
        "Springenberg et al. 2014, arXiv:1412.6806",
        _ONE_OF_ITS_OWN,
        gradients.guided_backpropagation,
        depends_on=(),
        needs="runs",
        rule="guided",
        explains="input",
    ),
    Method(
        "deconvolution",
        "gradient",
        "the gradient, each ReLU passing back what is positive on the way back",
        "Zeiler and Fergus 2013, arXiv:1311.2901",
        _ONE_OF_ITS_OWN,
        gradients.deconvolution,
        depends_on=(),
        needs="runs",
        rule="deconvolution",
        explains="input",
    ),
    Method(
        "guided-grad-cam",
        "gradient",
        "guided backpropagation * enlarged Grad-CAM",
        "Selvaraju et al. 2017, arXiv:1610.02391",
        "two forward and two backward passes",
        gradients.guided_grad_cam,
        needs="runs",
        explains="both",
        depends_on=("class",),
    ),
    Method(
        "fullgrad",
        "gradient",
        "psi(x * dS/dx) + sum over biases psi(b * dS/db)",
        "Srinivas and Fleuret 2019, arXiv:1905.00780",
        _ONE_OF_ITS_OWN,
        gradients.full_grad,
        needs="runs",
        explains="input",
    ),
    Method(
        "occlusion",
        "perturbation",
        "mean over windows of S - S(x without the window)",
        "Zeiler and Fergus 2013, arXiv:1311.2901",
        "one forward pass for each of about 200 windows",
        perturbation.occlusion,
        needs="runs",
        explains="input",
        signed=True,
    ),
    Method(
        "rise",
        "perturbation",
        "mean over random masks M of (p(x seen through M) - mean p) M",
        "Petsiuk et al. 2018, arXiv:1806.07421",
        "1000 forward passes",
        perturbation.rise,
        needs="runs",
        explains="input",
        signed=True,
    ),
    Method(
        "lime",
        "perturbation",
        "weights of a linear model of the score, one for each superpixel",
        "Ribeiro et al. 2016, arXiv:1602.04938",
        "500 forward passes",
        perturbation.lime,
        needs="runs",
        explains="input",
        signed=True,
    ),
    Method(
        "kernel-shap",
        "perturbation",
        "Shapley value of each superpixel",
        "Lundberg and Lee 2017, arXiv:1705.07874",
        "500 forward passes",
        perturbation.kernel_shap,
        needs="runs",
        explains="input",
        signed=True,
    ),
)


def methods() -> tuple[Method, ...]:
    """Every attribution method, one row each.

    .name, .family, .formula, .paper and .costs are text. .needs: "maps", a function of remembered arrays, or "runs".
    .explains: "layer", "input" (its pixels) or "both". .signed: whether its heatmaps lie in [-1, 1]. .depends_on: what
    they are known to follow, of "class" and "weights". .function: the method itself, its docstring with the formula.
    """
    return _TABLE


def find_method(name: str) -> Method:
    """The row of that name; case, spaces, "-" and "_" do not matter, nor "+" as "plus". Raises `MethodError`."""
    table = {_plain(method.name): method for method in _TABLE}
    if _plain(name) not in table:
        names = [method.name for method in _TABLE]
        raise MethodError(f"There is no method {name!r}; {did_you_mean(name, names)} methods() lists all.")
    return table[_plain(name)]


def _plain(name: object) -> str:
    return "".join(letter for letter in str(name).lower().replace("+", "plus") if letter.isalnum())
